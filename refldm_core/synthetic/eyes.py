"""Colors and normals of an eyeball: iris, pupil, white, and the cornea that bulges over the iris."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp, linear, mix, smoothstep, unit
from .traits import Eyes

_PUPIL = 0.42
"""Radius of the pupil as a fraction of the iris's."""
_CORNEA = 1.25
"""Radius of the cornea as a fraction of the iris's."""
_BULGE = 0.55
"""How much farther the cornea's normal turns outward than the eyeball's, as a fraction of the angle from the gaze."""
_WHITE = (0.84, 0.80, 0.78)
_VEIN = np.array([0.0, 0.25, 0.25])


@dataclass(frozen=True, eq=False)
class EyeSurface:
    """The surface at n points of eyeballs.

    Attributes:
        albedo: (n, 3) linear.
        normals: (n, 3) in the frame of the gaze.
        iris: (n,) share of iris or pupil in [0, 1].
    """

    albedo: NDArray[np.float64]
    normals: Floats
    iris: Floats


def eye_surface(eyes: Eyes, directions: Floats, light: Floats, seed: int) -> EyeSurface:
    """Compute the surface of eyeballs.

    Args:
        eyes: the person's irises.
        directions: (n, 3) unit vectors from the eyeball's center, in a frame whose z axis is the gaze.
        light: (3,) unit vector toward the main lamp in the same frame. The iris is lighter on the side away from it.
        seed: seed for the fibers of the iris.
    """
    angle = np.arccos(clamp(directions[:, 2], -1.0, 1.0))
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    radius = angle / eyes.iris
    fibers = np.random.default_rng([0x1815, seed]).normal(size=(2, 96))
    azimuths = np.linspace(-np.pi, np.pi, 97)
    coarse, fine = (np.interp(azimuth + 0.06 * radius * k, azimuths, np.append(f, f[0])) for k, f in enumerate(fibers))
    inner = linear(eyes.inner_color)
    color = mix(inner, linear(eyes.color), smoothstep(0.42, 0.85, radius + 0.06 * coarse)[:, None])
    color *= (1.0 + 0.16 * coarse + 0.14 * fine)[:, None].clip(0.5, 1.6)
    side = (directions[:, :2] @ light[:2]) / max(eyes.iris, 1e-6)
    color *= (1.15 - 0.45 * clamp(side, -1.0, 1.0))[:, None]  # the cornea focuses light on the far side
    color *= (1.0 - 0.72 * smoothstep(0.80, 1.02, radius))[:, None]
    pupil = smoothstep(_PUPIL + 0.04, _PUPIL - 0.04, radius)[:, None]
    color = mix(color, np.full(3, 0.004), pupil)
    white = linear(_WHITE) * (1.0 - smoothstep(1.0, 3.2, radius)[:, None] * _VEIN)
    is_white = smoothstep(0.97, 1.12, radius)
    albedo = mix(color, white, is_white[:, None])
    bulge = _BULGE * smoothstep(_CORNEA, _CORNEA - 0.3, radius)
    outward = unit(np.concatenate([directions[:, :2], np.zeros((len(directions), 1))], 1))
    tilt = np.sin(angle * bulge)[:, None]
    return EyeSurface(albedo, unit(directions + tilt * outward), 1.0 - is_white)
