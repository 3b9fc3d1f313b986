"""Finding faces of any size and up to any quarter turn with detectors that see upright ones of moderate size.

A network finds faces of some 40 pixels up to most of its input well. So the picture is searched at several scales, each
up to four times coarser than the last, in overlapping tiles, and again turned by quarter turns; then the best of all
findings of one face is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import NotFiniteError, SettingsError
from ..images import tensor_to_u8
from .types import Face, Landmarks5

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""

_WELL_SEEN = 40.0  # pixels: a face of this size, or larger, is found reliably
_COARSER = 4.0  # largest ratio of two scales
_OVERLAP = 160  # of tiles: a face up to _WELL_SEEN * _COARSER lies whole in one of them
_AUTO_SMALLEST, _AUTO_SIDE = 24.0, 2048.0
_MAX_ENLARGEMENT = 4.0
_NESTED = 0.8


class Findings(NamedTuple):
    """What a network finds in one picture.

    Attributes:
        boxes: (n, 4) left, top, right, bottom in pixels.
        scores: (n,) 0..1.
        landmarks: (n, 5, 2) in the order of `Landmarks5`.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    landmarks: NDArray[np.float64]


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
        if self.smallest is not None and self.smallest < _WELL_SEEN / _MAX_ENLARGEMENT:
            raise SettingsError(
                f"No detector finds faces of {self.smallest} pixels.",
                expected=f"a smallest face of {_WELL_SEEN / _MAX_ENLARGEMENT:g} pixels or more",
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
            resized, factors = _resize(picture, scale)
            for left, top, tile in _tiles(resized, self.network.tile):
                findings = require_finite(self.network.find(tile, threshold))
                findings = _drop_cut(findings, (left, top), tile.shape[:2], resized.shape[:2])
                yield _turn_back(_scale_back(findings, (left, top), factors), turn, size)


def require_finite(findings: Findings) -> Findings:
    """Check what a network found.

    Raises:
        NotFiniteError: NaN or infinity among the numbers.
    """
    if not all(np.isfinite(values).all() for values in findings):
        raise NotFiniteError(
            "The face detector gave values that are not finite (NaN or infinity).",
            expected="boxes, scores and landmarks of finite numbers",
            remedy="get the detector's file again, run it on the CPU, or choose another detector",
        )
    return findings


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


def scales(size: Sequence[int], tile: int, smallest: float | None) -> list[float]:
    """At which scales to search a picture of (height, width), the finest first and the whole in one tile last."""
    longest = max(size)
    if smallest is None:
        smallest = _AUTO_SMALLEST * max(1.0, longest / _AUTO_SIDE)
    finest = min(_WELL_SEEN / smallest, _MAX_ENLARGEMENT)
    whole = min(tile / longest, finest)
    steps = math.ceil(math.log(finest / whole, _COARSER) - 0.05)  # hardly finer than the whole is not worth a search
    finer = [finest * (whole / finest) ** (i / steps) for i in range(steps)]
    # A face that fills the picture is also searched for at half the size: networks expect some room around it.
    return [*finer, whole, whole / 2.0]


def suppress(findings: Findings, overlap: float) -> Findings:
    """Keep the most confident of findings of one face (greedy non-maximum suppression), best first.

    Of one face are boxes whose intersection over union is above `overlap`, and boxes of which one lies in the other and
    has at least a quarter of its area: what two scales make of a face.
    """
    order = np.argsort(-findings.scores, kind="stable")
    kept: list[int] = []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        box, others = findings.boxes[first], findings.boxes[rest]
        own, areas, common = _area(box[None]), _area(others), _common(box, others)
        smaller, larger = np.minimum(own, areas), np.maximum(own, areas)
        nested = (common > _NESTED * smaller) & (larger < 4.0 * smaller)
        order = rest[(iou(box, others) <= overlap) & ~nested]
    return Findings(findings.boxes[kept], findings.scores[kept], findings.landmarks[kept])


def iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box (4,) with others (n, 4)."""
    common = _common(box, boxes)
    return common / np.maximum(_area(box[None]) + _area(boxes) - common, 1e-9)


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)


def _common(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    return np.prod(np.maximum(high - low, 0.0), axis=1)


def join(found: Sequence[Findings]) -> Findings:
    """All findings in one; none where there are none."""
    empty = Findings(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
    parts = [empty, *found]
    return Findings(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
    )


def _resize(picture: Picture, scale: float) -> tuple[Picture, tuple[float, float]]:
    """The picture resized, and by which factors (x, y) exactly."""
    height, width = picture.shape[:2]
    if abs(scale - 1.0) < 0.02:
        return picture, (1.0, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized: Any = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8), (size[0] / width, size[1] / height)


def _tiles(picture: Picture, tile: int) -> Iterator[tuple[int, int, Picture]]:
    """Overlapping parts no larger than `tile`, each with its left and top."""
    height, width = picture.shape[:2]
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            yield left, top, np.ascontiguousarray(picture[top : top + tile, left : left + tile])


def _starts(length: int, tile: int) -> list[int]:
    if length <= tile:
        return [0]
    step = tile - min(_OVERLAP, tile // 2)
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def _drop_cut(findings: Findings, origin: tuple[int, int], tile: Sequence[int], whole: Sequence[int]) -> Findings:
    """Without faces cut by a tile's border inside the picture: another tile, or a coarser scale, has them whole."""
    (left, top), (height, width) = origin, tile
    limits = np.array(
        [
            1.0 if left > 0 else -np.inf,
            1.0 if top > 0 else -np.inf,
            width - 2.0 if left + width < whole[1] else np.inf,
            height - 2.0 if top + height < whole[0] else np.inf,
        ]
    )
    boxes = findings.boxes
    inside = (boxes[:, :2] >= limits[:2]).all(axis=1) & (boxes[:, 2:] <= limits[2:]).all(axis=1)
    return Findings(boxes[inside], findings.scores[inside], findings.landmarks[inside])


def _scale_back(findings: Findings, origin: tuple[int, int], factors: tuple[float, float]) -> Findings:
    def back(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return (points + np.asarray(origin) + 0.5) / np.asarray(factors) - 0.5

    boxes = np.reshape(back(np.reshape(findings.boxes, (-1, 2))), (-1, 4))
    return Findings(boxes, findings.scores, back(findings.landmarks))


def _turn_back(findings: Findings, turn: int, size: Sequence[int]) -> Findings:
    """From the picture turned by quarter turns counter-clockwise to the upright one of (height, width)."""
    turn %= 4
    if turn == 0:
        return findings
    height, width = size[0], size[1]

    def back(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[..., 0], points[..., 1]
        turned = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[turn]
        return np.stack(turned, axis=-1)

    corners = back(np.reshape(findings.boxes, (-1, 2, 2)))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Findings(boxes, findings.scores, back(findings.landmarks))
