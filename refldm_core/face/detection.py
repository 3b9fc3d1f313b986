"""Finding faces of any size and up to any quarter turn with detectors that see upright ones of moderate size.

A network finds faces of some 40 pixels up to most of its input well. So the picture is searched at several scales, each
up to four times coarser than the last, in overlapping tiles, and again turned by quarter turns; then the best of all
findings of one face is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from torch import Tensor

from ..errors import SettingsError
from ..images import tensor_to_u8
from .findings import Findings, Picture, join, require_finite, suppress
from .tiling import SMALLEST_FACE, drop_cut, resize, scale_back, scales, tiles, turn_back
from .types import Face, Landmarks5


class FaceNetwork(Protocol):
    """A detection network for upright faces.

    Attributes:
        tile: pixels along the longest side of a picture that the network takes.
        threshold: the least confidence of a face that its authors use; networks differ in how sure they are.
        turned_threshold: the same for a face in a turned picture. Most pictures are upright, and a network that takes
            much in their turned versions for faces must be surer there.
        metadata: text that the network's file says of itself.
    """

    @property
    def metadata(self) -> Mapping[str, str]: ...

    @property
    def tile(self) -> int: ...

    @property
    def threshold(self) -> float: ...

    @property
    def turned_threshold(self) -> float: ...

    def find(self, picture: Picture, threshold: float) -> Findings:
        """Find the faces of one picture no larger than `tile`."""
        ...


class Detector(Protocol):
    """Anything that finds faces."""

    def detect(self, image: Picture) -> list[Face]:
        """Faces of one picture, the most confident first; [] where there is none."""
        ...


@dataclass(frozen=True)
class DetectionSettings:
    """How to search.

    Attributes:
        threshold: least confidence of a face, 0..1; None for the network's own, which may be higher in turned pictures.
        smallest: size in pixels of the smallest face to look for; smaller takes longer. None is 24 pixels, and 1/85 of
            the longer side in pictures of more than 2048 pixels.
        turns: quarter turns (counter-clockwise) at which the picture is searched; (0,) is fastest, and finds faces
            tilted by up to some 45 degrees.
        overlap: intersection over union above which two findings are the same face.
    """

    threshold: float | None = None
    smallest: float | None = None
    turns: tuple[int, ...] = (0, 1, 3)
    overlap: float = 0.4

    def __post_init__(self) -> None:
        threshold = 0.5 if self.threshold is None else self.threshold
        if not 0.0 < threshold <= 1.0 or not 0.0 < self.overlap <= 1.0 or not self.turns:
            raise SettingsError(
                f"A face threshold of {self.threshold}, overlap {self.overlap} and turns {self.turns} have no meaning.",
                expected="threshold and overlap in 0..1, at least one turn",
                remedy="leave the defaults: none, 0.4 and (0, 1, 3)",
            )
        if self.smallest is not None and self.smallest < SMALLEST_FACE:
            raise SettingsError(
                f"No detector finds faces of {self.smallest} pixels.",
                expected=f"a smallest face of {SMALLEST_FACE:g} pixels or more",
                remedy="enlarge the picture first",
            )


class SearchingDetector:
    """A network made robust to size, tilt and the border.

    Args:
        network: finds upright faces.
        settings: None for the default.
    """

    def __init__(self, network: FaceNetwork, settings: DetectionSettings | None = None) -> None:
        self.network = network
        self.settings = settings or DetectionSettings()

    def detect(self, image: Picture) -> list[Face]:
        """See `Detector`."""
        found_at_all_turns = [
            findings
            for turn in self.settings.turns
            for findings in self._search(np.ascontiguousarray(np.rot90(image, turn)), turn, image.shape[:2])
        ]
        best = suppress(join(found_at_all_turns), self.settings.overlap)
        return [
            Face((float(b[0]), float(b[1]), float(b[2]), float(b[3])), float(score), Landmarks5(points))
            for b, score, points in zip(*best, strict=True)
        ]

    def _search(self, picture: Picture, turn: int, size: tuple[int, ...]) -> Iterator[Findings]:
        usual = self.network.threshold if turn == 0 else self.network.turned_threshold
        threshold = usual if self.settings.threshold is None else self.settings.threshold
        for scale in scales(picture.shape[:2], self.network.tile, self.settings.smallest):
            resized, factors = resize(picture, scale)
            for left, top, tile in tiles(resized, self.network.tile):
                findings = require_finite(self.network.find(tile, threshold))
                findings = drop_cut(findings, (left, top), tile.shape[:2], resized.shape[:2])
                yield turn_back(scale_back(findings, (left, top), factors), turn, size)


def detect_batch(
    images: Sequence[Tensor], detector: Detector, on_picture: Callable[[int, int], None] = lambda done, total: None
) -> list[Face]:
    """Find the faces of a batch.

    Args:
        images: each (3, height, width) in [-1, 1]; sizes may differ.
        detector: of whatever kind.
        on_picture: called with the number of finished pictures and of all; raising stops the work.

    Returns:
        The faces of all pictures in order, each with its `frame`.
    """
    faces: list[Face] = []
    for frame, image in enumerate(images):
        faces += [replace(face, frame=frame) for face in detector.detect(to_picture(image))]
        on_picture(frame + 1, len(images))
    return faces


def to_picture(image: Tensor) -> Picture:
    """(3, height, width) in [-1, 1] -> what a detector takes."""
    return np.asarray(tensor_to_u8(image.cpu()).movedim(0, -1).contiguous().numpy(), dtype=np.uint8)
