"""Drawn pictures of several people, or of none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..face.types import Matrix, transform_points
from ..synthetic.layout import Layout, places
from .conditions import Conditions, conditions
from .drawing import Canvas
from .eyes import paint_glasses
from .geometry import Pose, View, plane_matrix
from .hair import paint_body
from .painting import paint_background, paint_person
from .people import generator
from .sitter import Sitter, landmarks
from .traits import SyntheticPerson

_GROUP_STREAM = 0x6409
_FOREHEAD = -0.9
_HEAD_WINDOW = (2.4, 2.2, 3.3)
"""Units to both sides of, above and below the point between the eyes, that hair and glasses stay within."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn picture of people; all in their order.

    Attributes:
        picture: (height, width, 3) uint8.
        landmarks: (n, 5, 2) float64 pixels, as `face.types.Landmarks5`.
        boxes: (n, 4) float64 left, top, right, bottom of the faces: forehead to chin, ear to ear.
        parsing: (height, width) uint8, indices of `PARTS`.
    """

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    boxes: NDArray[np.float64]
    parsing: NDArray[np.uint8]


def group(people: Sequence[SyntheticPerson], seed: int, width: int, height: int, *, layout: Layout = "rows") -> Scene:
    """Draw a picture of several people under one light.

    Args:
        people: may be empty; then only the background is drawn.
        seed: of places, sizes, poses, expressions, light and background.
        width, height: pixels.
        layout: "rows" stands them side by side, in two rows or more where that makes them larger; "scattered" puts
            faces of 20 to 200 pixels anywhere in the picture, without covering another's face.

    Raises:
        SettingsError: a picture below 16 pixels, a negative seed, or no room for faces of 20 pixels.
    """
    canvas = Canvas.of(width, height)
    rng = generator(_GROUP_STREAM, seed)
    common = conditions(int(rng.integers(2**31)))
    paint_background(canvas, common.background)
    standing = places(len(people), width, height, rng, layout)
    points = np.zeros((len(people), 5, 2))
    boxes = np.zeros((len(people), 4))
    each = [replace(conditions(int(rng.integers(2**31))), light=common.light) for _ in people]
    # Small faces are farther away: the larger are painted over them.
    for i in sorted(range(len(people)), key=lambda i: standing[i].scale):
        place = standing[i]
        matrix = np.array([[place.scale, 0.0, place.x], [0.0, place.scale, place.y]])
        _paint_into(canvas, people[i], each[i], matrix)
        points[i] = transform_points(matrix, landmarks(people[i], each[i]))
        boxes[i] = _face_box(people[i], each[i], matrix)
    return Scene(canvas.to_u8(), points, boxes, canvas.parts)


def _paint_into(canvas: Canvas, person: SyntheticPerson, conditions: Conditions, image_from_face: Matrix) -> None:
    """Paint somebody in a window around the head, and the body down to the end of the picture."""
    _, height, width = canvas.rgb.shape
    matrix = plane_matrix(image_from_face, Pose.of(conditions))
    (scale, _, x), (_, _, y) = image_from_face
    across, above, below = _HEAD_WINDOW
    left, right = _clipped(x - across * scale, x + across * scale, width)
    top, bottom = _clipped(y - above * scale, y + below * scale, height)
    if bottom < height and right > left:
        body = View.of(matrix, left, bottom, right - left, height - bottom)
        paint_body(canvas.window(bottom, left, height - bottom, right - left), body, conditions)
    if bottom <= top or right <= left:
        return
    window = canvas.window(top, left, bottom - top, right - left)
    sitter = Sitter.of(person, conditions, View.of(matrix, left, top, right - left, bottom - top))
    paint_person(window, sitter)
    paint_glasses(window, sitter)


def _clipped(low: float, high: float, side: int) -> tuple[int, int]:
    return max(0, min(side, math.floor(low))), max(0, min(side, math.ceil(high) + 1))


def _face_box(person: SyntheticPerson, conditions: Conditions, image_from_face: Matrix) -> NDArray[np.float64]:
    """Around the ellipse from forehead to chin and from ear to ear, which the roll turns."""
    pose, head = Pose.of(conditions), person.head
    half_u = math.hypot(head.width * pose.cos_yaw, head.depth * pose.sin_yaw)
    u, top = pose.project(0.0, _FOREHEAD, 0.05)
    _, bottom = pose.project(0.0, head.chin, 0.05)
    half_v = 0.5 * (bottom - top)
    c, s = math.cos(pose.roll), math.sin(pose.roll)
    x, y = transform_points(plane_matrix(image_from_face, pose), [u, 0.5 * (top + bottom)])
    scale = math.hypot(image_from_face[0, 0], image_from_face[1, 0])
    half_x, half_y = scale * math.hypot(half_u * c, half_v * s), scale * math.hypot(half_u * s, half_v * c)
    return np.array([x - half_x, y - half_y, x + half_x, y + half_y])
