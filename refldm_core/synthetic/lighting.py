"""Light on a figure: distant lamps, light from all around, and the shadow that the main lamp throws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import LUMINANCE, Floats, clamp, dot, unit
from .conditions import Lamp, Light
from .rasterizer import nearest_samples
from .scipy_functions import reshaped, transposed

_SHADOW_CELLS = 240
_SHADOW_REACH = 1.9
"""Decimeters from the face to the border of the shadow map."""
_TAPS = ((0.0, 0.0), (1.0, 0.35), (-0.35, 1.0), (-1.0, -0.35), (0.35, -1.0), (0.6, 0.6), (-0.6, 0.6))
"""Offsets at which the shadow map is read around a point, as fractions of the blur."""
_AXIS_SHARES = np.array([[0.85, 0.85], [0.55, 1.25], [0.75, 1.0]])
"""Relative light from left and right, from below and above, and from behind and before the figure."""


@dataclass(frozen=True, eq=False)
class Source:
    """A lamp: (3,) unit vector toward it, and (3,) linear irradiance of a surface that faces it."""

    direction: NDArray[np.float32]
    color: NDArray[np.float32]

    @staticmethod
    def of(lamp: Lamp) -> Source:
        azimuth, elevation = np.radians([lamp.azimuth, lamp.elevation])
        direction = [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
        return Source(np.array(direction, np.float32), (np.array(lamp.color) * lamp.strength).astype(np.float32))

    def scaled(self, factor: float) -> Source:
        return Source(self.direction, self.color * np.float32(factor))


@dataclass(frozen=True, eq=False)
class Illumination:
    """All light on a figure, scaled such that a white surface that faces the camera has irradiance 1.

    Attributes:
        key, fill, rim: lamps.
        ambient: (axis, side, channel) = (3, 2, 3) light from the negative and the positive side of each axis.
        softness: blur of the shadows in decimeters.
    """

    key: Source
    fill: Source
    rim: Source
    ambient: NDArray[np.float32]
    softness: float

    @staticmethod
    def of(light: Light, backdrop: ArrayLike) -> Illumination:
        """Return the light in surroundings that have the colors of the picture's linear backdrop, (h, w, 3)."""
        picture = np.asarray(backdrop, dtype=np.float64)
        half = picture.shape[1] // 2
        left, right, middle = picture[:, :half].mean((0, 1)), picture[:, half:].mean((0, 1)), picture.mean((0, 1))
        sides = np.stack([[left, right], [middle, middle], [middle, middle]])
        sides = sides / max(float(middle @ LUMINANCE), 1e-3)
        sides = clamp(0.62 + 0.38 * sides, 0.4, 1.8) * _AXIS_SHARES[..., None]
        key, fill, rim = Source.of(light.key), Source.of(light.fill), Source.of(light.rim)
        ambient = light.ambient * sides
        facing = max(key.direction[2], 0.3) * key.color + max(fill.direction[2], 0.0) * fill.color + ambient[2, 1]
        scale = 1.0 / float(facing @ LUMINANCE)
        return Illumination(
            key.scaled(scale),
            fill.scaled(scale),
            rim.scaled(scale),
            (ambient * scale).astype(np.float32),
            light.softness,
        )

    def around(self, directions: Floats) -> NDArray[np.float32]:
        """Return the light from all around on surfaces with (n, 3) normals, (n, 3)."""
        squares = np.asarray(directions, np.float32) ** 2
        positive = np.where(directions > 0, squares, np.float32(0.0))
        total = positive @ self.ambient[:, 1] + (squares - positive) @ self.ambient[:, 0]
        return np.asarray(total, np.float32)


@dataclass(frozen=True, eq=False)
class ShadowMap:
    """What a lamp sees of a figure.

    Attributes:
        frame: (3, 3), whose rows are the two axes of the map and the direction toward the lamp.
        center: (3,) middle of the map.
        height: (cells, cells) height of the nearest surface toward the lamp in decimeters; -99 where there is none.
    """

    frame: NDArray[np.float32]
    center: NDArray[np.float32]
    height: NDArray[np.float32]

    @staticmethod
    def of(direction: Floats, center: Floats, points: Floats) -> ShadowMap:
        """Map the (n, 3) points that throw shadows.

        Args:
            direction: (3,) unit vector toward the lamp.
            center: (3,) middle of the map.
            points: (n, 3) points that throw shadows.
        """
        side = unit(np.cross(np.array([0.0, 1.0, 0.01]), direction))
        frame = np.stack([side, np.cross(direction, side), direction]).astype(np.float32)
        cells = _cells(points, frame, center)
        nearest = nearest_samples(
            np.stack([cells[:, 0], cells[:, 1], 20.0 - cells[:, 2]], 1), _SHADOW_CELLS, _SHADOW_CELLS
        )
        height = np.where(nearest >= 0, cells[np.maximum(nearest, 0), 2], np.float32(-99.0))
        return ShadowMap(frame, np.asarray(center, np.float32), reshaped(height, _SHADOW_CELLS, _SHADOW_CELLS))

    def above(self, points: Floats, spread: float) -> NDArray[np.float32]:
        """Return how far the surface lies above each point, read around it within `spread` decimeters: (taps, n)."""
        cells = _cells(points, self.frame, self.center)
        reach = spread * _SHADOW_CELLS / (2 * _SHADOW_REACH)
        result = np.empty((len(_TAPS), len(points)), np.float32)
        for k, (dx, dy) in enumerate(_TAPS):
            column = clamp(cells[:, 0] + dx * reach, 0, _SHADOW_CELLS - 1).astype(np.int32)
            row = clamp(cells[:, 1] + dy * reach, 0, _SHADOW_CELLS - 1).astype(np.int32)
            result[k] = self.height[row, column] - cells[:, 2]
        return result

    def light_on_surface(self, points: Floats, softness: float) -> NDArray[np.float32]:
        """Return the share of the lamp that points of solid surfaces see, (n,)."""
        above = self.above(points, softness)
        return clamp(1.0 - (above - 0.05) / 0.06, 0.0, 1.0).mean(0)

    def light_in_hair(self, points: Floats, density: float) -> NDArray[np.float32]:
        """Return the share of the lamp's light that reaches points within hair, which dims it with depth: (n,)."""
        above = self.above(points, 0.03)
        return np.exp(-clamp(above - 0.03, 0.0, 4.0) * density).mean(0)


def _cells(points: Floats, frame: NDArray[np.float32], center: Floats) -> NDArray[np.float32]:
    cells = (points.astype(np.float32) - np.asarray(center, np.float32)) @ transposed(frame)
    cells[:, :2] = (cells[:, :2] / (2 * _SHADOW_REACH) + 0.5) * _SHADOW_CELLS
    return cells


def gloss(normals: Floats, view: Floats, light: Floats, roughness: Floats, reflectance: float = 0.028) -> Floats:
    """Return the specular reflection of a lamp: GGX distribution, Smith shadowing, Schlick's Fresnel term.

    Args:
        normals: (n, 3) unit normals.
        view: (n, 3) unit vectors toward the camera.
        light: (3,) unit vector toward the lamp.
        roughness: (n,) in (0, 1].
        reflectance: reflectance at normal incidence; 0.028 is that of skin.

    Returns:
        (n, 1) factor of the lamp's irradiance.
    """
    half = unit(view + light)
    n_h = clamp(dot(normals, half), 0.0, 1.0)
    n_l = clamp(normals @ light, 0.0, 1.0)
    n_v = clamp(dot(normals, view), 0.05, 1.0)
    v_h = clamp(dot(view, half), 0.0, 1.0)
    alpha = roughness**4
    distribution = alpha / (n_h**2 * (alpha - 1.0) + 1.0) ** 2
    fresnel = reflectance + (1.0 - reflectance) * (1.0 - v_h) ** 5
    k = (roughness + 1.0) ** 2 / 8.0
    visibility = 1.0 / ((n_l * (1.0 - k) + k) * (n_v * (1.0 - k) + k))
    return (0.25 * distribution * fresnel * visibility * n_l)[:, None]
