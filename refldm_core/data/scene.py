"""Drawn pictures of several people, or of none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..face.types import Matrix, transform_points
from .conditions import Conditions, conditions
from .drawing import Canvas
from .eyes import paint_glasses
from .geometry import Pose, View, plane_matrix
from .hair import paint_body
from .painting import paint_background, paint_person
from .people import generator
from .sitter import Sitter, landmarks
from .traits import SyntheticPerson

Layout = Literal["rows", "scattered"]

LEAST_FACE = 20.0
"""Pixels from forehead to chin."""

_GROUP_STREAM = 0x6409
_FACE_UNITS = 2.45
"""From forehead to chin."""
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
    places = (_rows if layout == "rows" else _scattered)(len(people), width, height, rng)
    points = np.zeros((len(people), 5, 2))
    boxes = np.zeros((len(people), 4))
    each = [replace(conditions(int(rng.integers(2**31))), light=common.light) for _ in people]
    # Small faces are farther away: the larger are painted over them.
    for i in sorted(range(len(people)), key=lambda i: places[i].scale):
        matrix = places[i].image_from_face
        _paint_into(canvas, people[i], each[i], matrix)
        points[i] = transform_points(matrix, landmarks(people[i], each[i]))
        boxes[i] = _face_box(people[i], each[i], matrix)
    return Scene(canvas.to_u8(), points, boxes, canvas.parts)


@dataclass(frozen=True)
class _Place:
    """The point between somebody's eyes, and the pixels of a unit."""

    x: float
    y: float
    scale: float

    @property
    def image_from_face(self) -> Matrix:
        return np.array([[self.scale, 0.0, self.x], [0.0, self.scale, self.y]])


def _rows(count: int, width: int, height: int, rng: np.random.Generator) -> list[_Place]:
    """Side by side, the back rows higher, smaller and standing in the gaps of those in front."""
    if count == 0:
        return []
    rows = max(range(1, count + 1), key=lambda r: _row_scale(count, r, width, height))
    scale = _row_scale(count, rows, width, height)
    if 0.8**rows * scale * _FACE_UNITS < LEAST_FACE:
        raise _no_room(count, width, height)
    step = width / _columns(count, rows)
    top = max(0.0, 0.4 * (height - (2.0 + 2.7 * rows) * scale))
    places: list[_Place] = []
    for row, members in enumerate(np.array_split(np.arange(count), rows)):
        stagger = 0.25 * step * (-1) ** row if rows > 1 and count % rows == 0 else 0.0
        for i in range(len(members)):
            size = rng.uniform(0.8, 1.0) * 0.8 ** (rows - 1 - row) * scale
            x = 0.5 * width + (i - 0.5 * (len(members) - 1)) * step + stagger + rng.uniform(-0.1, 0.1) * scale
            y = top + (2.0 + 2.7 * row) * scale + rng.uniform(-0.15, 0.15) * scale
            places.append(_Place(x, y, size))
    return places


def _row_scale(count: int, rows: int, width: int, height: int) -> float:
    """Pixels of a unit in the front row."""
    return min(width / (_columns(count, rows) * 3.0), height / (1.9 + 2.7 * rows), 200.0 / _FACE_UNITS)


def _columns(count: int, rows: int) -> float:
    """Places across; half a place more where all rows have as many, so that they can stand in the gaps."""
    return math.ceil(count / rows) + (0.5 if rows > 1 and count % rows == 0 else 0.0)


def _scattered(count: int, width: int, height: int, rng: np.random.Generator) -> list[_Place]:
    """Sizes spread evenly on a logarithmic scale; large faces take their places first."""
    largest = min(200.0, 0.7 * min(width, height))
    while largest >= LEAST_FACE:
        sizes = np.exp(rng.uniform(math.log(LEAST_FACE), math.log(largest), count))
        places: list[_Place] = []
        for size in np.sort(sizes)[::-1]:
            place = _free_place(float(size) / _FACE_UNITS, places, width, height, rng)
            if place is None:
                break
            places.append(place)
        if len(places) == count:
            return [places[i] for i in rng.permutation(count)]
        largest *= 0.85
    raise _no_room(count, width, height)


def _free_place(scale: float, places: list[_Place], width: int, height: int, rng: np.random.Generator) -> _Place | None:
    """A place where nobody hides the face, None where chance found none."""
    for _ in range(60):
        x = rng.uniform(1.3 * scale, max(1.3 * scale, width - 1.3 * scale))
        y = rng.uniform(1.2 * scale, max(1.2 * scale, height - 1.8 * scale))
        tried = _Place(x, y, scale)
        if not any(_hides(other, tried) for other in places):
            return tried
    return None


def _hides(near: _Place, far: _Place) -> bool:
    """Whether the head or the body of the one covers some of the other's face."""
    reach = 1.3 * far.scale
    beside = abs(far.x - near.x) - reach
    below = near.y - far.y - 1.9 * far.scale
    on_head = beside < 1.8 * near.scale and below < 2.1 * near.scale
    return (on_head and far.y - near.y - 1.2 * far.scale < 3.1 * near.scale) or (
        beside < 2.3 * near.scale and far.y + 1.9 * far.scale > near.y + 1.5 * near.scale
    )


def _no_room(count: int, width: int, height: int) -> SettingsError:
    return SettingsError(
        f"A picture of {width}x{height} pixels has no room for {count} faces.",
        expected=f"faces of at least {LEAST_FACE:.0f} pixels",
        remedy="draw a larger picture or fewer people",
    )


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
