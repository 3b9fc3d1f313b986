"""Detection of faces of any size and rotation with networks for upright faces of moderate size.

A network reliably finds faces from about 40 pixels up to most of its input size. The picture is therefore searched at
several scales, in overlapping tiles, and again after rotation by quarter turns (search.py). Each scale is up to four
times coarser than the one before. Of all findings of the same face, the most confident one remains.

A small network is reliable only with upright faces of the size that it saw most in training. It can look at each face a
second time, in aligned crops: for better landmarks, and to drop what is no face.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import SettingsError
from ..images import tensor_to_u8, u8_to_tensor
from .alignment import align_faces
from .batches import find_in_batches
from .errors import FaceError
from .findings import Findings, Picture, join, suppress
from .search import FaceNetwork, Search, SearchMethod
from .tiling import SMALLEST_FACE
from .types import Face, Landmarks5, transform_points

_MOST_FACES = 2000
"""Most faces of a picture. A photo of a crowd shows hundreds."""
_LOOK_SIZES = (192, 224)
"""Pixels along each side of the aligned crops of the second look. A face takes about half of a crop. The mean of the
landmarks in two crops is more accurate than those in one."""
_LOOK_THRESHOLD, _CONFIRMED = 0.3, 0.7
"""Minimum confidence in one crop of the second look, and minimum mean confidence of a face, 0..1.

On 22 unseen scenes of rendered people, the second look left 1 of 22 false findings, or 5 of 30 under severe damage, and
every true one.
"""


class Detector(Protocol):
    """A detector of faces in pictures of any size."""

    def detect(self, image: Picture) -> list[Face]:
        """Find the faces of one picture, in order of falling confidence. A picture without a face gives []."""
        ...


@dataclass(frozen=True)
class DetectionSettings:
    """Settings of the search for faces.

    Attributes:
        threshold: Minimum confidence of a face, 0..1. None for the network's own thresholds, of which the one for
            turned pictures may be higher. A lower value also lowers the confidence that a second look must confirm.
        smallest: Size in pixels of the smallest face to search for, 10 or more. A smaller value takes longer. None
            means 24 pixels, or 1/85 of the longer side in pictures of more than 2048 pixels.
        turns: Quarter turns (counter-clockwise) at which the picture is searched. (0,) is fastest, and finds faces that
            are tilted by up to about 45 degrees.
        overlap: Intersection over union above which two findings are the same face.
        search: "staged" looks at the whole picture at half of the finest scale, at every turn, and then at the finest
            scale only around places where the network is a little confident. "exhaustive" looks at the whole picture
            at the finest scale too, which takes two to three times as long. On the test scenes both find the same
            number of faces (benchmarks/results/search.md).

    Raises:
        SettingsError: A value is outside its range, or there are no turns.
    """

    threshold: float | None = None
    smallest: float | None = None
    turns: tuple[int, ...] = (0, 1, 3)
    overlap: float = 0.4
    search: SearchMethod = "staged"

    def __post_init__(self) -> None:
        threshold = 0.5 if self.threshold is None else self.threshold
        if not 0.0 < threshold <= 1.0 or not 0.0 < self.overlap <= 1.0 or not self.turns:
            raise SettingsError(
                f"A face threshold of {self.threshold}, overlap {self.overlap} and turns {self.turns} have no meaning.",
                expected="threshold and overlap in 0..1, at least one turn",
                remedy="leave the defaults: none, 0.4 and (0, 1, 3)",
            )
        if self.search not in get_args(SearchMethod):
            raise SettingsError(
                f'There is no search "{self.search}".',
                expected=" or ".join(get_args(SearchMethod)),
                remedy='leave the default, "staged"',
            )
        if self.smallest is not None and not SMALLEST_FACE <= self.smallest < math.inf:
            raise SettingsError(
                f"No detector finds faces of {self.smallest} pixels.",
                expected=f"a smallest face of {SMALLEST_FACE:g} pixels or more",
                remedy="enlarge the picture first, or leave the default",
            )


def _require_plausible(count: int, image: Picture) -> None:
    """Refuse more faces than a picture can show. A damaged network finds so many that the next steps take hours.

    Raises:
        FaceError: There are more than 2000 faces, or more than one for each square of 8 pixels.
    """
    height, width = image.shape[:2]
    most = min(_MOST_FACES, 16 + height * width // 64)
    if count > most:
        raise FaceError(
            f"The face detector finds {count} faces in a picture of {width}x{height} pixels.",
            expected=f"at most {most} faces",
            remedy="get the detector's file again, raise the threshold, or choose another detector",
        )


class SearchingDetector:
    """A detector that searches a picture with a network at several scales, tiles and rotations.

    Args:
        network: Network that finds upright faces.
        settings: Settings of the search. None for the defaults.
    """

    def __init__(self, network: FaceNetwork, settings: DetectionSettings | None = None) -> None:
        self.network = network
        self.settings = settings or DetectionSettings()

    def detect(self, image: Picture) -> list[Face]:
        """See `Detector`."""
        settings = self.settings
        search = Search(self.network, settings.turns, settings.smallest, settings.threshold, settings.overlap)
        method = search.exhaustive if settings.search == "exhaustive" else search.staged
        best = suppress(join(list(method(image))), settings.overlap)
        _require_plausible(len(best.scores), image)
        faces = [
            Face((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(score), Landmarks5(points))
            for box, score, points in zip(*best, strict=True)
        ]
        return self._look_again(image, faces) if self.network.second_look and faces else faces

    def _look_again(self, image: Picture, faces: Sequence[Face]) -> list[Face]:
        """Return the faces that the network finds again in their aligned crops, with the landmarks found there."""
        picture = u8_to_tensor(torch.tensor(image).movedim(-1, 0))
        confidences = np.zeros(len(faces))
        points_of_faces: list[list[NDArray[np.float64]]] = [[] for _ in faces]
        for size in _LOOK_SIZES:
            aligned, crops = align_faces([picture], faces, size)
            findings = find_in_batches(self.network, [to_picture(crop) for crop in crops], _LOOK_THRESHOLD)
            for i, (transform, in_crop) in enumerate(zip(aligned.transforms, findings, strict=True)):
                finding = _middle_face(in_crop, size)
                confidences[i] += finding.scores.sum() / len(_LOOK_SIZES)
                points_of_faces[i] += [transform_points(transform.image_from_crop, p) for p in finding.landmarks]
        least = _CONFIRMED if self.settings.threshold is None else min(_CONFIRMED, self.settings.threshold)
        return [
            replace(face, landmarks=Landmarks5(np.mean(points, axis=0)))
            for face, points, confidence in zip(faces, points_of_faces, confidences, strict=True)
            if points and confidence >= least
        ]


def _middle_face(findings: Findings, size: int) -> Findings:
    """Return the finding in the middle of a crop of `size` pixels, or no finding."""
    if not len(findings.scores):
        return findings
    centers = (findings.boxes[:, :2] + findings.boxes[:, 2:]) / 2.0
    distances = np.linalg.norm(centers - size / 2.0, axis=1) / size
    middle = int(np.argmax(findings.scores - distances))
    return Findings(*(values[middle : middle + 1] for values in findings))


def detect_batch(
    images: Sequence[Tensor], detector: Detector, on_picture: Callable[[int, int], None] = lambda done, total: None
) -> list[Face]:
    """Find the faces of a batch.

    Args:
        images: Pictures (3, height, width) in [-1, 1]. Sizes may differ.
        detector: Any detector.
        on_picture: Called after each picture with the number of finished pictures and the number of all pictures. An
            exception from it stops the work.

    Returns:
        The faces of all pictures in order. `frame` is the index of the picture.
    """
    faces: list[Face] = []
    for frame, image in enumerate(images):
        faces += [replace(face, frame=frame) for face in detector.detect(to_picture(image))]
        on_picture(frame + 1, len(images))
    return faces


def to_picture(image: Tensor) -> Picture:
    """Convert (3, height, width) in [-1, 1] to a picture for a detector: (height, width, 3) RGB of 8 bits."""
    return np.asarray(tensor_to_u8(image.cpu()).movedim(0, -1).contiguous().numpy(), dtype=np.uint8)
