"""One person under given conditions, seen through one window: what all parts of the drawing share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face.types import transform_points
from .arrays import Color, Plane, clamp
from .conditions import Conditions
from .drawing import Window, bump, color, soft
from .geometry import Pose, Solid, Surface, View, see
from .traits import SyntheticPerson

EAR_Y = 0.3
GLASSES_OUT = 0.14
"""How far glasses stand in front of the eyes."""


@dataclass(frozen=True)
class Sitter:
    """A person, the conditions, and the head in a window.

    Attributes:
        head: the visible surface of the head in the window.
        shade: (3, height, width) light that falls on the head, about 1 where it is brightest.
    """

    person: SyntheticPerson
    conditions: Conditions
    pose: Pose
    view: View
    y: Plane
    head: Surface
    shade: Color

    @staticmethod
    def of(person: SyntheticPerson, conditions: Conditions, view: View) -> Sitter:
        """Turn the head and light it."""
        pose = Pose.of(conditions)
        y = pose.y_from_plane(view.u, view.v)
        head = see(head_solid(person), pose, view.u, y)
        return Sitter(person, conditions, pose, view, y, head, _light_on(person, conditions, pose, view, head))

    @property
    def scale(self) -> float:
        """Pixels of a unit."""
        return self.view.scale

    @property
    def light(self) -> Color:
        """(3, 1, 1) light on something that faces the viewer."""
        return light_forward(self.conditions)

    def at(self, x: float, y: float, radius: float, out: float = 0.0) -> Window:
        """The window around a point of the head's surface."""
        z = head_solid(self.person).z_at(x, y) + out
        u, v = self.pose.project(x, y, z, out)
        return self.view.near(u, v, radius)

    def chart(self, at: Window) -> tuple[Plane, Plane]:
        """Chart coordinates in a window."""
        return self.head.x[at], self.head.y[at]

    def nose_chart(self, at: Window) -> tuple[Plane, Plane]:
        """The same with the nose's parallax: where a point of the nose is that stands out of the head."""
        return _nose_chart(self.person, self.pose, *self.chart(at))


def light_forward(conditions: Conditions) -> Color:
    """(3, 1, 1) light on something that faces the viewer: milder than on the head, for eyes, glasses and clothes."""
    lamp = conditions.light
    return color(lamp.color) * (lamp.ambient + lamp.strength * (0.35 + 0.5 * lamp.direction[2]))


def head_solid(person: SyntheticPerson) -> Solid:
    """The head without hair and ears."""
    shape = person.head
    return Solid(shape.width, shape.depth, shape.top, shape.chin, shape.jaw, shape.cheek, forward=0.12)


def landmarks(person: SyntheticPerson, conditions: Conditions) -> NDArray[np.float64]:
    """(5, 2): eyes, tip of the nose, corners of the mouth in the face plane after the roll, in units."""
    pose, solid = Pose.of(conditions), head_solid(person)
    lift = corner_lift(person, conditions)
    eye, nose, mouth = person.eyes, person.nose, person.mouth
    half = mouth_half_width(person, conditions)
    points = [(-eye.x, 0.0, 0.0), (eye.x, 0.0, 0.0), (0.0, nose.tip, nose.out)]
    points += [(side * half, mouth.y - lift, 0.0) for side in (-1.0, 1.0)]
    plane = np.array([pose.project(x, y, solid.z_at(x, y) + out, out) for x, y, out in points])
    return transform_points(pose.face_from_plane, plane)


def corner_lift(person: SyntheticPerson, conditions: Conditions) -> float:
    """How far a smile lifts the corners of the mouth."""
    return 0.3 * conditions.expression.smile * person.mouth.half_width


def mouth_half_width(person: SyntheticPerson, conditions: Conditions) -> float:
    """A smile widens the mouth, an open mouth makes it narrower."""
    expression = conditions.expression
    return person.mouth.half_width * (1.0 + 0.14 * max(0.0, expression.smile) - 0.1 * expression.mouth_open)


def _nose_chart(person: SyntheticPerson, pose: Pose, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    nose = person.nose
    ramp = clamp((y + 0.15) * (1.0 / (nose.tip + 0.1)))
    out = nose.out * ramp * ramp
    return x - out * (pose.sin_yaw / pose.cos_yaw), y + out * (pose.sin_pitch / pose.cos_pitch)


def _light_on(person: SyntheticPerson, conditions: Conditions, pose: Pose, view: View, head: Surface) -> Color:
    """Wrapped diffuse light on the head with the relief of its features, a little warmer in the shadow."""
    height = head.y * (1 / 1.6)
    nx = 0.92 * head.s
    ny = 0.62 * height * np.abs(height)
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0.06))
    _add_relief(person, pose, view, head, (nx, ny))
    lamp = conditions.light
    c, s = math.cos(pose.roll), math.sin(pose.roll)
    lx, ly, lz = lamp.direction
    toward = (nx * (c * lx + s * ly) + ny * (c * ly - s * lx) + nz * lz) / np.sqrt(nx * nx + ny * ny + nz * nz)
    wrapped = clamp(0.62 * toward + 0.38)
    level = lamp.ambient + lamp.strength * wrapped * (0.4 + 0.6 * wrapped)
    level *= 0.8 + 0.2 * soft(head.distance - 0.06, 0.22)
    level = clamp(level, 0.2, 1.25)
    warm = np.stack([np.power(level, 0.85), level, level * 0.25 + 0.75 * level * np.sqrt(level)])
    return warm * color(lamp.color)


def _add_relief(person: SyntheticPerson, pose: Pose, view: View, head: Surface, normal: tuple[Plane, Plane]) -> None:
    """Tilt the normals by the slope of hills and hollows: (x, y, rx, ry, height, on the nose)."""
    nx, ny = normal
    eye, nose, mouth = person.eyes, person.nose, person.mouth
    hills = [
        (0.0, 0.45 * nose.tip, nose.bridge, 0.34 * nose.tip, 0.05, True),
        (0.0, nose.tip, 0.6 * nose.half_width + 0.02, 0.10, 0.07, True),
        (0.0, mouth.y + mouth.lower + 0.12, 0.22, 0.05, -0.02, False),
        (0.0, person.head.chin - 0.2, 0.2, 0.12, 0.04, False),
    ]
    for side in (-1.0, 1.0):
        hills += [
            (side * 0.8 * nose.half_width, nose.tip + 0.03, 0.07, 0.07, 0.025, True),
            (side * eye.x, 0.0, eye.half_width, 0.22, -0.05, False),
            (side * (eye.x + 0.1), 0.5, 0.2, 0.17, 0.045, False),
            (side * (eye.x - 0.03), person.brows.y - 0.02, 0.25, 0.1, 0.02, False),
        ]
    solid = head_solid(person)
    for x, y, rx, ry, height, on_nose in hills:
        out = nose.out if on_nose else 0.0
        at = view.near(*pose.project(x, y, solid.z_at(x, y) + out, out), 2.5 * max(rx, ry))
        px, py = head.x[at], head.y[at]
        if on_nose:
            px, py = _nose_chart(person, pose, px, py)
        dx, dy = px - x, py - y
        hill = height * bump(dx, dy, rx, ry)
        nx[at] += hill * dx * (1 / rx**2)
        ny[at] += hill * dy * (1 / ry**2)
