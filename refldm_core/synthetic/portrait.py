"""Render a portrait of one person, aligned as face alignment would crop it from a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..face.template import similarity, template
from ..face.types import Matrix
from .arrays import Floats
from .attributes import PortraitAttributes, portrait_attributes
from .backdrop import backdrop
from .camera import Camera
from .conditions import Conditions
from .figure import Figure, figure
from .film import develop
from .lighting import Illumination
from .render import Rendering, exposed, render
from .traits import Person

LEAST_SIZE = 32
BACKDROP_LIGHT = 0.8
"""Exposure of the background relative to that of the person."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """A rendered face.

    Attributes:
        picture: (size, size, 3) uint8 sRGB.
        landmarks: (5, 2) float64 pixels, as `face.types.Landmarks5`.
        face: (size, size) bool, the visible face without hair.
        attributes: visible features that distinguish the person from other people.
    """

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    face: NDArray[np.bool_]
    attributes: PortraitAttributes


def portrait(person: Person, conditions: Conditions, size: int = 512) -> Portrait:
    """Render a portrait, aligned to `face.template.template(size)` by its landmarks.

    The same person and conditions give the same bytes on one machine. The math library of another machine may round
    differently. Single pixels may then differ by several steps of 1/255, and the mean by less than half a step.

    Args:
        person: the person to show.
        conditions: pose, expression, light, clothes, background and camera.
        size: pixels along each side, at least 32.

    Raises:
        SettingsError: the size is below 32 pixels.
    """
    if size < LEAST_SIZE:
        raise SettingsError(
            f"A portrait of {size} pixels is too small.",
            expected=f"at least {LEAST_SIZE} pixels",
            remedy="choose a larger size",
        )
    posed = figure(person, conditions)
    camera = aligned_camera(posed, conditions, size)
    background = backdrop(conditions.place, conditions.place_seed, size, size, conditions.blur)
    rendering = render(posed, camera, Illumination.of(conditions.light, background), size, size)
    picture = develop(composite(rendering, background, person), conditions.film, conditions.seed)
    landmarks = camera.project(posed.landmarks)
    attributes = portrait_attributes(person, rendering)
    return Portrait(picture, landmarks, rendering.covers["face"] > 0.5, attributes)


def composite(rendering: Rendering, background: Floats, person: Person) -> Floats:
    """Return the (h, w, 3) linear light of a person in front of a background."""
    return exposed(rendering, person) + BACKDROP_LIGHT * background * (1.0 - rendering.alpha[..., None])


def aligned_camera(posed: Figure, conditions: Conditions, size: int) -> Camera:
    """Return the camera of the portrait. Its picture is aligned to `face.template.template(size)`."""
    plane: Matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    first = Camera(posed.center, conditions.distance, plane)
    return Camera(posed.center, conditions.distance, similarity(first.plane(posed.landmarks), template(size)))
