"""Find the regions of a portrait in which glasses and beards are measured, also for people who have none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats
from .asset import head
from .camera import Camera
from .conditions import Conditions
from .facial_hair import beard_cover, brow_cover
from .figure import Figure, Mesh, figure
from .portrait import aligned_camera
from .rasterizer import Fragments, rasterize
from .scipy_functions import reshaped, transposed
from .traits import Beard, Glasses, Person

STANDARD_GLASSES = Glasses(0.245, 0.19, 0.7, 0.014, (0.1, 0.1, 0.1), False)
"""Glasses of the usual size. They mark the region of the frame for people without glasses."""

_STANDARD_BEARD = Beard("goatee", (0.1, 0.1, 0.1), 1.0)
"""Beard on chin and upper lip, which all full beards cover. It marks the region for people without a beard."""

_SAMPLES = 3
"""Samples along each side of a pixel."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of a portrait; each (size, size) bool.

    Attributes:
        frame: the frame of the person's glasses, or of standard glasses, in front of skin.
        beside_frame: skin that the glasses do not cover, without brows.
        beard: skin below the person's beard, or below a standard beard.
        cheeks: bare skin of the cheeks, where no beard grows.
    """

    frame: Mask
    beside_frame: Mask
    beard: Mask
    cheeks: Mask


def regions(person: Person, conditions: Conditions, size: int) -> Regions:
    """Return the regions of `portrait(person, conditions, size)`. Hair that falls over the face is ignored."""
    posed = figure(replace(person, glasses=person.glasses or STANDARD_GLASSES, beard=None), conditions)
    camera = aligned_camera(posed, conditions, size)
    # Without glasses, and with them.
    (bare, _), (free, _, frame) = (
        _rasterize_meshes(posed, camera, size, meshes) for meshes in (("skin", "eyes"), ("skin", "eyes", "glasses"))
    )
    face = head().masks["face"] * (1.0 - head().masks["lips"])
    skin = _cover(bare, face, size)
    free_skin = _cover(free, face * (1.0 - brow_cover(person.brows)), size)
    frame_cover = _cover(frame, np.ones(int(frame.matrix.shape[1])), size)
    x, y, z = transposed(head().skin)
    cheek = (np.abs(x) > 0.22) & (np.abs(x) < 0.5) & (y > 6.86) & (y < 7.1) & (z > 0.9)
    beard = beard_cover(person.beard or _STANDARD_BEARD)
    return Regions(
        frame=(frame_cover > 0.4) & (skin > 0.9),
        beside_frame=(free_skin > 0.9) & (frame_cover == 0.0),
        beard=_cover(free, face * beard, size) > 0.5,
        cheeks=_cover(free, face * cheek, size) > 0.9,
    )


def _rasterize_meshes(posed: Figure, camera: Camera, size: int, names: tuple[str, ...]) -> list[Fragments]:
    """Return the visible parts of each named mesh of a figure."""
    meshes: list[Mesh] = [getattr(posed, name) for name in names]
    side = size * _SAMPLES
    return rasterize([(camera.grid(mesh.vertices, _SAMPLES), mesh.quads) for mesh in meshes], side, side)[0]


def _cover(fragments: Fragments, values: Floats, size: int) -> NDArray[np.float64]:
    """Return (size, size) means of a mesh's vertex values in each pixel. Samples that show no part of it count as 0."""
    plane = np.zeros((size * _SAMPLES) ** 2)
    plane[fragments.pixels] = fragments.at(values)
    return reshaped(plane, size, _SAMPLES, size, _SAMPLES).mean(axis=(1, 3))
