"""Pictures of people who do not exist, for training and for showing what a restorer does, with no real photo.

Every detail that tells the people apart (irises, moles, glasses, brows, ...) is finer than a severe degradation leaves,
so that only references can bring it back. The same portrait at another size has the same content, more or less sharp.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face.alignment import similarity, template
from ..face.types import Matrix, transform_points
from .arrays import Plane
from .conditions import Conditions, Expression, Light, conditions
from .drawing import PARTS, Canvas
from .eyes import frame_cover, paint_glasses
from .geometry import Pose, View, plane_matrix
from .painting import paint_background, paint_person
from .people import person
from .scene import Scene, group
from .sitter import Sitter, head_solid, landmarks
from .traits import SyntheticPerson

__all__ = [
    "PARTS",
    "Conditions",
    "Expression",
    "Light",
    "Portrait",
    "PortraitAttributes",
    "Scene",
    "SyntheticPerson",
    "conditions",
    "group",
    "person",
    "render",
]


@dataclass(frozen=True, eq=False)
class PortraitAttributes:
    """Where a portrait shows what tells its person from others.

    Attributes:
        left_iris, right_iris: (height, width) bool, plain visible iris: no pupil, gloss, rim or lid's shadow.
        moles: (n, 3) float64 x, y, radius in pixels of the visible moles.
        frame: (height, width) bool, rims and bridge of this person's glasses, or where standard ones would be, as far
            as there is skin below.
        beside_frame: (height, width) bool, the skin that glasses leave free.
        glasses: whether the person wears any.
    """

    left_iris: NDArray[np.bool_]
    right_iris: NDArray[np.bool_]
    moles: NDArray[np.float64]
    frame: NDArray[np.bool_]
    beside_frame: NDArray[np.bool_]
    glasses: bool


@dataclass(frozen=True, eq=False)
class Portrait:
    """A drawn face.

    Attributes:
        picture: (size, size, 3) uint8.
        landmarks: (5, 2) float64, as `face.types.Landmarks5`.
        parsing: (size, size) uint8, indices of `PARTS`.
        attributes: what a measurement of the likeness needs.
    """

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    parsing: NDArray[np.uint8]
    attributes: PortraitAttributes


def render(
    person: SyntheticPerson, conditions: Conditions, size: int = 512, *, image_from_face: Matrix | None = None
) -> Portrait:
    """Draw a portrait.

    Args:
        person: who.
        conditions: pose, expression, light, background.
        size: pixels along each side.
        image_from_face: (2, 3), pixels from units of the turned and rolled face; None aligns the face to
            `face.alignment.template(size)` as the crops of real photos are.

    Raises:
        SettingsError: a size below 16 pixels.
    """
    canvas = Canvas.of(size, size)
    face = landmarks(person, conditions)
    matrix = similarity(face, template(size)) if image_from_face is None else image_from_face
    paint_background(canvas, conditions.background)
    view = View.of(plane_matrix(matrix, Pose.of(conditions)), 0, 0, size, size)
    sitter = Sitter.of(person, conditions, view)
    irises = paint_person(canvas, sitter)
    bare = np.array(canvas.parts)
    paint_glasses(canvas, sitter)
    attributes = _attributes(sitter, canvas.parts, bare, irises)
    return Portrait(canvas.to_u8(), transform_points(matrix, face), canvas.parts, attributes)


def _attributes(
    sitter: Sitter, parts: NDArray[np.uint8], bare: NDArray[np.uint8], irises: tuple[Plane, Plane]
) -> PortraitAttributes:
    eye = parts == PARTS.index("eye")
    skin = np.isin(bare, (PARTS.index("skin"), PARTS.index("nose")))
    glasses = sitter.person.glasses
    cover = frame_cover(sitter, glasses)
    left, right = ((iris > 0.75) & eye for iris in irises)
    moles = _visible_moles(sitter, parts)
    return PortraitAttributes(left, right, moles, skin & (cover > 0.5), skin & (cover < 0.02), glasses is not None)


def _visible_moles(sitter: Sitter, parts: NDArray[np.uint8]) -> NDArray[np.float64]:
    solid = head_solid(sitter.person)
    found: list[tuple[float, float, float]] = []
    for spot in sitter.person.moles:
        u, v = sitter.pose.project(spot.x, spot.y, solid.z_at(spot.x, spot.y))
        x, y = (float(value) for value in transform_points(sitter.view.picture_from_plane, [u, v]))
        reach = 1.5 * spot.radius * sitter.scale
        column, row = round(x), round(y)
        low, left = max(0, round(y - reach)), max(0, round(x - reach))
        around = parts[low : round(y + reach) + 1, left : round(x + reach) + 1]
        inside = 0 <= row < parts.shape[0] and 0 <= column < parts.shape[1]
        if inside and float(np.isin(around, (PARTS.index("skin"), PARTS.index("nose"))).mean()) > 0.9:
            found.append((x, y, spot.radius * sitter.scale))
    return np.reshape(np.array(found, dtype=np.float64), (-1, 3))
