"""Landmarks from other sources: typed numbers, or the 5, 68, 468 or 478 points of other detectors."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FaceError
from .types import Landmarks5

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

# Number of points -> for each of the five landmarks, the indices of the points whose mean is the landmark. 68: iBUG
# 300-W. 468: MediaPipe's face mesh, with the corners of the eyes. 478: the same mesh with the irises. "Left" is the
# left of the picture.
_POINT_INDICES = {
    5: ((0,), (1,), (2,), (3,), (4,)),
    68: (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,)),
    468: ((33, 133), (362, 263), (1,), (61,), (291,)),
    478: ((468,), (473,), (1,), (61,), (291,)),
}


def landmarks_from_points(points: ArrayLike) -> Landmarks5:
    """Convert the landmarks of another detector to five landmarks.

    Args:
        points: (n, 2 or more) pixels. n is 5 (in the order of `Landmarks5`), 68 (iBUG), or 468 or 478 (MediaPipe).
            Coordinates after the second are ignored.

    Raises:
        FaceError: The number of points is another one, a number is not finite, or left and right are exchanged.
    """
    array = np.asarray(points, dtype=np.float64)
    groups = _POINT_INDICES.get(len(array)) if array.ndim == 2 and array.shape[-1] >= 2 else None
    if groups is None:
        raise FaceError(
            f"Face landmarks of shape {array.shape} have no known layout.",
            expected="5 points, 68 (iBUG), or 468 or 478 (MediaPipe), each with x and y",
            remedy="use five points: left eye, right eye, nose, left and right corner of the mouth",
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
    """Parse typed landmarks.

    Args:
        text: One line for each face, with ten numbers: x and y of each point in the order of `Landmarks5`. Anything
            may separate the numbers. Lines without a number are ignored.

    Raises:
        FaceError: A line has another number of numbers, its numbers are no landmarks, or the text has no face.
    """
    faces: list[Landmarks5] = []
    for number, line in enumerate(text.splitlines(), start=1):
        values = [float(v) for v in _NUMBER.findall(line)]
        if not values:
            continue
        if len(values) != 10:
            raise FaceError(
                f"Line {number} of the landmarks has {len(values)} numbers.",
                expected="ten numbers: x and y of left eye, right eye, nose, left and right corner of the mouth",
                remedy="write one face on each line, for instance 193 240, 319 240, 257 314, 201 371, 313 371",
            )
        faces.append(landmarks_from_points(np.reshape(values, (5, 2))))
    if not faces:
        raise FaceError(
            "No landmarks were entered.",
            expected="one line of ten numbers for each face",
            remedy="write one face on each line, for instance 193 240, 319 240, 257 314, 201 371, 313 371",
        )
    return faces


def _require_not_mirrored(points: NDArray[np.float64]) -> None:
    eye_to_eye = points[1] - points[0]
    eyes_to_mouth = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    # Rotation, even upside down, keeps the sign of this cross product. An exchange of left and right reverses it.
    if eye_to_eye[0] * eyes_to_mouth[1] - eye_to_eye[1] * eyes_to_mouth[0] < 0.0:
        raise FaceError(
            "Left and right of a face's landmarks are exchanged.",
            expected="left and right as seen in the picture: the left eye is the person's right eye",
            remedy="exchange the two eyes, and exchange the two corners of the mouth",
        )
