"""The drawn head as a solid: from a pixel to the point of the surface that it shows, and back.

Spaces: the *chart* (x, y) of the head (see `traits`), with z toward the viewer; the *face plane* (u, v), what an
orthographic camera sees of the turned head before it is rolled, in the same units; the picture, in pixels. Yaw is exact
for a stack of ellipses; pitch moves every point by the depth of one smooth paraboloid instead of its own, which keeps
the way back in closed form and is not seen at the angles drawn here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face.types import Matrix, compose, invert, transform_points
from .arrays import Plane, clamp
from .conditions import Conditions

_DEPTH, _DEPTH_U, _DEPTH_V = 1.05, 0.3, 0.18
"""The paraboloid that the pitch moves points by: depth = d - d_u u^2 - d_v v^2, in units."""


@dataclass(frozen=True)
class Pose:
    """Yaw and pitch, as sines and cosines, and roll in radians."""

    sin_yaw: float
    cos_yaw: float
    sin_pitch: float
    cos_pitch: float
    roll: float

    @staticmethod
    def of(conditions: Conditions) -> Pose:
        """The pose under these conditions."""
        yaw, pitch = math.radians(conditions.yaw), math.radians(conditions.pitch)
        return Pose(math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch), math.radians(conditions.roll))

    @property
    def face_from_plane(self) -> Matrix:
        """(2, 3): the roll."""
        c, s = math.cos(self.roll), math.sin(self.roll)
        return np.array([[c, -s, 0.0], [s, c, 0.0]])

    def y_from_plane(self, u: Plane, v: Plane) -> Plane:
        """Undo the pitch."""
        depth = _DEPTH - _DEPTH_U * u * u - _DEPTH_V * v * v
        return (v + depth * self.sin_pitch) / self.cos_pitch

    def project(self, x: float, y: float, z: float, out: float = 0.0) -> tuple[float, float]:
        """A point of the head -> (u, v); `out` is how far it stands out of the surface that the pitch is drawn with."""
        u = x * self.cos_yaw + z * self.sin_yaw
        v = y
        for _ in range(12):  # contracts by less than 0.2 each time
            v = y * self.cos_pitch - (_DEPTH - _DEPTH_U * u * u - _DEPTH_V * v * v) * self.sin_pitch
        return u, v - out * self.sin_pitch


@dataclass(frozen=True)
class Solid:
    """A stack of ellipses with half axes `width` and `depth` at y = 0.

    Above they shrink by (1 - (y / top)^2)^(1/2) to 0 at -`top`, below by (1 - (y / bottom)^power)^(1 / round) to 0 at
    `bottom`. Their centers lie `back` behind the axis, and come forward by `forward` toward the bottom.
    """

    width: float
    depth: float
    top: float
    bottom: float
    power: float
    round: float
    back: float = 0.0
    forward: float = 0.0

    def center_z(self, y: Plane) -> Plane:
        """Depth of the ellipses' centers."""
        below = clamp(y / self.bottom)
        return self.forward * below * below - self.back

    def z_at(self, x: float, y: float) -> float:
        """Depth of the surface at a point of the chart."""
        if y < 0:
            shrink = math.sqrt(max(0.0, 1.0 - (y / self.top) ** 2))
        else:
            shrink = max(0.0, 1.0 - (y / self.bottom) ** self.power) ** (1.0 / self.round)
        across = min(1.0, abs(x) / max(1e-6, self.width * shrink))
        center = float(self.center_z(np.array([[y]]))[0, 0])
        return center + self.depth * shrink * math.sqrt(1.0 - across**2)


@dataclass(frozen=True)
class Surface:
    """What a view sees of a solid.

    Attributes:
        x, y: chart coordinates of the visible point.
        across, ahead: sine and cosine of its azimuth around its ellipse.
        s: -1 at the left outline, 1 at the right one.
        distance: to the outline, in units, positive inside; exact near the outline.
    """

    x: Plane
    y: Plane
    across: Plane
    ahead: Plane
    s: Plane
    distance: Plane


def see(solid: Solid, pose: Pose, u: Plane, y: Plane) -> Surface:
    """The visible surface of a solid.

    Args:
        solid: of the head.
        pose: its pose.
        u, y: (height, width) place in the face plane with the pitch undone (`Pose.y_from_plane`).
    """
    sin, cos = pose.sin_yaw, pose.cos_yaw
    half = math.hypot(solid.width * cos, solid.depth * sin)
    center = solid.center_z(y)
    across = (u - center * sin) / half
    above = y < 0
    length = _either(above, solid.top, solid.bottom)
    t = np.abs(y) / length
    power = _either(above, 2.0, solid.power)
    rounding = _either(above, 2.0, solid.round)
    t_slope = np.power(t + 1e-6, power - 1)
    side = np.abs(across)
    side_slope = np.power(side + 1e-6, rounding - 1)
    inside = 1 - t * t_slope - side * side_slope
    gradient = np.hypot(power * t_slope / length, rounding * side_slope / half)
    distance = inside / np.maximum(gradient, 0.3)
    shrink = np.power(np.maximum(1 - t * t_slope, 1e-6), 1 / rounding)
    s = clamp(across / shrink, -1.0, 1.0)
    front = np.sqrt(1 - s * s)
    a, c = solid.width / half, solid.depth / half
    across = (a * cos) * s - (c * sin) * front
    ahead = (c * sin) * s + (a * cos) * front
    return Surface(solid.width * shrink * across, y, across, ahead, s, distance)


def _either(mask: NDArray[np.bool_], yes: float, no: float) -> Plane:
    """One of two numbers for each pixel, in float32, which `numpy.where` would not choose by itself."""
    return np.where(mask, np.float32(yes), np.float32(no))


@dataclass(frozen=True)
class View:
    """A window of a picture and the face plane behind it.

    Attributes:
        picture_from_plane: (2, 3), pixels from units.
        left, top: the window's first column and row in the picture.
        u, v: (height, width) of the window's pixels.
    """

    picture_from_plane: Matrix
    left: int
    top: int
    u: Plane
    v: Plane

    @staticmethod
    def of(picture_from_plane: Matrix, left: int, top: int, width: int, height: int) -> View:
        """The window of that size at (left, top)."""
        (a, b, c), (d, e, f) = invert(picture_from_plane).astype(np.float32)
        x = np.arange(left, left + width, dtype=np.float32)[None, :]
        y = np.arange(top, top + height, dtype=np.float32)[:, None]
        return View(picture_from_plane, left, top, a * x + b * y + c, d * x + e * y + f)

    @property
    def scale(self) -> float:
        """Pixels of a unit."""
        return math.sqrt(abs(float(np.linalg.det(self.picture_from_plane[:, :2]))))

    def near(self, u: float, v: float, radius: float) -> tuple[slice, slice]:
        """Rows and columns of this window around a point of the face plane; may be empty."""
        x, y = transform_points(self.picture_from_plane, [u, v])
        reach = radius * self.scale + 1.5
        height, width = self.u.shape
        return (
            slice(max(0, math.floor(y - reach) - self.top), max(0, min(height, math.ceil(y + reach) + 1 - self.top))),
            slice(max(0, math.floor(x - reach) - self.left), max(0, min(width, math.ceil(x + reach) + 1 - self.left))),
        )


def plane_matrix(image_from_face: Matrix, pose: Pose) -> Matrix:
    """(2, 3) `picture_from_plane`: the roll, then the given transform."""
    return compose(image_from_face, pose.face_from_plane)
