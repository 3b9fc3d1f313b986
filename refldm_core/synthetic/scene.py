"""Group photos, and pictures without people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..face.types import Matrix
from .arrays import generator
from .backdrop import backdrop
from .camera import Camera
from .conditions import conditions
from .figure import Figure, figure
from .film import develop
from .layout import Layout, Place, places
from .lighting import Illumination
from .portrait import BACKDROP_LIGHT
from .render import Rendering, exposed, render
from .scipy_functions import blurred
from .traits import Person

LEAST_SIDE = 16

_STREAM = 0x5CE
_EYE_DISTANCE = 0.6155
"""Average distance between the eyes in decimeters; the unit of `layout`."""
_WINDOW = (3.3, 2.3, 5.6)
"""Decimeters that are rendered to each side of, above and below the point between the eyes. Below them, the last row of
the body is repeated."""
_DISTANCE = 25.0
"""Decimeters from the camera. Groups are photographed from farther away than portraits."""
_CHEST, _CREASE = 2.6, 0.3
"""Decimeters below the eyes from which on gaps between arms and body are closed, since the arms have no ends; and the
brightness of the fold that closes them, relative to the cloth."""
_SHADOW = (0.55, 0.45)
"""Share of the light that a person takes from people close behind, and its blur in decimeters."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture of people. All arrays are in the order of the people.

    Attributes:
        picture: (height, width, 3) uint8 sRGB.
        landmarks: (n, 5, 2) float64 pixels, as `face.types.Landmarks5`.
        boxes: (n, 4) float64 left, top, right, bottom in pixels of the faces: forehead to chin, ear to ear.
        faces: (height, width) uint8, the number, from 1, of the person whose face a pixel shows; 0 for none.
    """

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    boxes: NDArray[np.float64]
    faces: NDArray[np.uint8]


def scene(
    people: Sequence[Person], seed: int, width: int, height: int, *, layout: Layout | Sequence[Place] = "rows"
) -> Scene:
    """Render a group photo under one light.

    Args:
        people: at most 255 people; without people, the picture shows the background alone.
        seed: seed for places, sizes, poses, expressions, light and background.
        width, height: size of the picture in pixels, at least 16.
        layout: a layout of `layout.places`, or a place for each person, which then does not depend on the seed.

    Raises:
        SettingsError: a side is below 16 pixels, the seed is negative, there are too many people, the numbers of places
            and people differ, or there is no room for faces of 20 pixels.
    """
    if min(width, height) < LEAST_SIDE or len(people) > 255:
        raise SettingsError(
            f"A picture of {width}x{height} pixels with {len(people)} people cannot be rendered.",
            expected=f"at least {LEAST_SIDE} pixels along each side, and at most 255 people",
            remedy="choose a larger picture or fewer people",
        )
    rng = generator(_STREAM, seed)
    shared = conditions(int(rng.integers(2**31)))
    chosen_places = places(len(people), width, height, rng, layout) if isinstance(layout, str) else layout
    if len(chosen_places) != len(people):
        raise SettingsError(
            f"{len(people)} people cannot stand at {len(chosen_places)} places.",
            expected="one place for each person",
            remedy="pass as many places as people",
        )
    individual = [replace(conditions(int(rng.integers(2**31))), light=shared.light) for _ in people]
    light = backdrop(shared.place, shared.place_seed, height, width, 0.7 * shared.blur)
    illumination = Illumination.of(shared.light, light)
    light = BACKDROP_LIGHT * light
    landmarks, boxes = np.zeros((len(people), 5, 2)), np.zeros((len(people), 4))
    faces, crowd = np.zeros((height, width), np.uint8), np.zeros((height, width), np.float32)
    # Smaller people are farther away, so the larger ones are drawn over them.
    for i in sorted(range(len(people)), key=lambda i: chosen_places[i].scale):
        posed = figure(people[i], individual[i])
        window = _Window.around(chosen_places[i], posed, width, height)
        landmarks[i] = window.camera.project(posed.landmarks) + window.corner
        boxes[i] = _face_box(posed, window)
        rendering = window.render(posed, illumination)
        if rendering is not None:
            window.close_gaps(rendering, chosen_places[i])
            window.shadow(rendering, light, crowd)
            window.put(rendering, people[i], light, faces, i + 1)
    return Scene(develop(light, shared.film, shared.seed), landmarks, boxes, faces)


@dataclass(frozen=True, eq=False)
class _Window:
    """The part of the picture in which a person is rendered; `corner` (2,) is its top left pixel."""

    camera: Camera
    corner: NDArray[np.float64]
    width: int
    height: int

    @staticmethod
    def around(place: Place, posed: Figure, width: int, height: int) -> _Window:
        scale = place.scale / _EYE_DISTANCE
        side, above, below = (scale * reach for reach in _WINDOW)
        left, right = (min(max(math.floor(x), 0), width) for x in (place.x - side, place.x + side + 1))
        top, bottom = (min(max(math.floor(y), 0), height) for y in (place.y - above, place.y + below + 1))
        matrix: Matrix = np.array([[scale, 0.0, place.x - left], [0.0, scale, place.y - top]])
        camera = Camera(posed.center, _DISTANCE, matrix)
        return _Window(camera, np.array([float(left), float(top)]), right - left, bottom - top)

    def render(self, posed: Figure, light: Illumination) -> Rendering | None:
        """Render the figure in this window; None if the window is outside the picture."""
        if min(self.width, self.height) < 1:
            return None
        return render(posed, self.camera, light, self.height, self.width)

    def close_gaps(self, rendering: Rendering, place: Place) -> None:
        """Fill the gaps between arms and body with a dark fold of the clothes, in place."""
        first = max(0, int(place.y - self.corner[1] + _CHEST * self.camera.scale))
        for row in range(first, self.height):
            color, alpha = rendering.color[row], rendering.alpha[row]
            solid = np.flatnonzero(alpha > 0.98)
            if len(solid) < 2:
                continue
            gap = np.setdiff1d(np.arange(int(solid[0]), int(solid[-1])), solid)
            for channel in range(3):
                color[gap, channel] = _CREASE * np.interp(gap, solid, color[solid, channel])
            alpha[gap] = 1.0

    def shadow(self, rendering: Rendering, light: NDArray[np.float64], crowd: NDArray[np.float32]) -> None:
        """Darken the people around the figure, then add the figure to the crowd.

        Args:
            rendering: rendering of the figure.
            light: (h, w, 3) light of the picture; changed in place.
            crowd: (h, w) in [0, 1], cover of the people in the picture; changed in place.
        """
        left, top = (int(value) for value in self.corner)
        columns, bottom = slice(left, left + self.width), top + self.height
        strength, reach = _SHADOW
        shade = strength * blurred(rendering.alpha, reach * self.camera.scale)
        for rows, dark, cover in (
            (slice(top, bottom), shade, rendering.alpha),
            (slice(bottom, None), shade[-1:], rendering.alpha[-1:]),
        ):
            behind = crowd[rows, columns]
            light[rows, columns] *= 1.0 - (dark * behind)[..., None]
            behind[:] = np.maximum(behind, cover)

    def put(
        self, rendering: Rendering, person: Person, light: NDArray[np.float64], faces: NDArray[np.uint8], number: int
    ) -> None:
        """Draw the figure over the picture, and its body over everything below the window."""
        left, top = (int(value) for value in self.corner)
        columns, bottom = slice(left, left + self.width), top + self.height
        color, alpha = exposed(rendering, person), rendering.alpha[..., None]
        window = light[top:bottom, columns]
        window[:] = color + window * (1.0 - alpha)
        light[bottom:, columns] = color[-1:] + light[bottom:, columns] * (1.0 - alpha[-1:])
        visible_faces = faces[top:bottom, columns]
        visible_faces[rendering.alpha > 0.5] = 0
        visible_faces[rendering.covers["face"] > 0.5] = number
        faces[bottom:, columns][:, rendering.alpha[-1] > 0.5] = 0


def _face_box(posed: Figure, window: _Window) -> NDArray[np.float64]:
    """Return the box around the skin of the face, from forehead to chin and ear to ear."""
    outline = window.camera.project(posed.skin.vertices[posed.face_outline]) + window.corner
    low, high = outline.min(0), outline.max(0)
    return np.array([*low, *high])
