"""Landmarks from elsewhere: typed in, or the 5, 68, 468 or 478 points of other detectors."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FaceError
from .types import Landmarks5

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

# Indices whose mean is each of the five points. 68: iBUG 300-W. 468: MediaPipe's face mesh, corners of the eyes; 478
# adds the irises. "Left" is the left of the picture.
_FIVE_OF = {
    5: ((0,), (1,), (2,), (3,), (4,)),
    68: (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,)),
    468: ((33, 133), (362, 263), (1,), (61,), (291,)),
    478: ((468,), (473,), (1,), (61,), (291,)),
}


def landmarks_from_points(points: ArrayLike) -> Landmarks5:
    """Five landmarks from those of another detector.

    Args:
        points: (n, 2 or more) pixels with n = 5 in the order of `Landmarks5`, 68 (iBUG) or 468 or 478 (MediaPipe);
            further coordinates are ignored.

    Raises:
        FaceError: another number of points, numbers that are not finite, or left and right exchanged.
    """
    array = np.asarray(points, dtype=np.float64)
    groups = _FIVE_OF.get(len(array)) if array.ndim == 2 and array.shape[-1] >= 2 else None
    if groups is None:
        raise FaceError(
            f"Face landmarks of shape {array.shape} are of no known kind.",
            expected="5 points, 68 (iBUG) or 468 or 478 (MediaPipe), each with x and y",
            remedy="give left eye, right eye, nose, left and right corner of the mouth",
        )
    five = np.array([array[list(group), :2].mean(axis=0) for group in groups])
    if not np.isfinite(five).all():
        raise FaceError(
            "Face landmarks are not finite.",
            expected="x and y of each point in pixels",
            remedy="correct the numbers, or use another detector",
        )
    _require_not_mirrored(five)
    return Landmarks5(five)


def parse_landmarks(text: str) -> list[Landmarks5]:
    """Landmarks typed in: one face a line, ten numbers "x y" in the order of `Landmarks5`, separated by anything.

    Raises:
        FaceError: a line with another count of numbers, or no face at all.
    """
    faces: list[Landmarks5] = []
    for number, line in enumerate(text.splitlines(), start=1):
        values = [float(v) for v in _NUMBER.findall(line)]
        if not values:
            continue
        if len(values) != 10:
            raise FaceError(
                f"Line {number} of the landmarks has {len(values)} numbers.",
                expected="ten: x and y of left eye, right eye, nose, left and right corner of the mouth",
                remedy="write one face on each line, for instance 193 240, 319 240, 257 314, 201 371, 313 371",
            )
        faces.append(landmarks_from_points(np.reshape(values, (5, 2))))
    if not faces:
        raise FaceError(
            "No landmarks were given.",
            expected="one face a line, ten numbers each",
            remedy="for instance 193 240, 319 240, 257 314, 201 371, 313 371",
        )
    return faces


def _require_not_mirrored(points: NDArray[np.float64]) -> None:
    across = points[1] - points[0]
    down = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    # Turning a face, even upside down, keeps the sense of rotation; exchanging left and right does not.
    if across[0] * down[1] - across[1] * down[0] < 0.0:
        raise FaceError(
            "Left and right of a face's landmarks are exchanged.",
            expected="left eye and left corner of the mouth as seen in the picture: the person's right ones",
            remedy="exchange both eyes and both corners of the mouth",
        )
