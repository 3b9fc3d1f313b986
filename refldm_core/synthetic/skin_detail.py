"""Detail of the skin that is finer than its mesh: pores, blotches, freckles, moles, wrinkles, scars, stubble, lips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, bump, clamp, noise, noise_vectors, smoothstep
from .traits import Crease, Person

_PORES = 46.0
"""Pores per decimeter. Real pores are finer and would vanish between pixels."""
_MOLE = np.array([0.62, 0.78, 0.85])
"""Share of red, green and blue that a mole of darkness 1 absorbs."""
_FRONT = 0.7
"""Least z of skin that is seen from the front."""


@dataclass(frozen=True, eq=False)
class SkinDetail:
    """Factor of the albedo (n, 3), and tilt of the normal (n, 3) in the head's frame."""

    factor: NDArray[np.float32]
    tilt: NDArray[np.float32]


def skin_detail(person: Person, rest: Floats, lips: Floats, stubble: Floats, pixel: float) -> SkinDetail:
    """Evaluate the detail at points of the skin.

    Args:
        person: the person.
        rest: (n, 3) positions on the average head.
        lips, stubble: (n,) shares in [0, 1].
        pixel: size of a pixel in decimeters. Finer detail fades out, so that it does not alias.
    """
    factor = np.ones((len(rest), 3), np.float32)
    tilt = np.zeros((len(rest), 3), np.float32)
    seed = person.seed
    skin = 1.0 - lips
    visible = _visible(1.0 / _PORES, pixel)
    if visible > 0.0:
        fine = noise_vectors(rest, _PORES, seed) * (visible * skin)[:, None]
        tilt += 0.055 * fine[:, :3]
        factor *= 1.0 + 0.05 * fine[:, 3:]
    blotches = noise(rest, 16.0, seed + 5)
    factor *= 1.0 + 0.05 * blotches[:, None] * np.array([0.5, 1.0, 1.0])
    crack = np.sin(190.0 * rest[:, 0] + 2.5 * noise(rest, 9.0, seed + 6)) * _visible(0.033, pixel) * lips
    tilt[:, 0] += 0.09 * crack
    factor *= 1.0 - (0.05 * clamp(crack, 0.0, 1.0))[:, None]
    if person.skin.freckles:
        factor *= _freckles(person, rest, skin)
    for mole in person.skin.moles:
        distance = np.hypot(rest[:, 0] - mole.x, rest[:, 1] - mole.y)
        edge = max(0.25 * mole.radius, 0.35 * pixel)
        cover = smoothstep(mole.radius + edge, mole.radius - edge, distance) * (rest[:, 2] > _FRONT)
        factor *= 1.0 - mole.darkness * cover[:, None] * _MOLE
    for crease in person.skin.creases:
        _press(crease, rest, factor, tilt, pixel)
    if person.beard is not None:
        grain = noise(rest, 60.0, seed + 8)
        seen = _visible(1.0 / 60.0, pixel)
        factor *= 1.0 - (0.30 * seen * stubble * clamp(grain, -0.4, 1.0))[:, None]
    return SkinDetail(np.asarray(factor, np.float32), tilt)


def _visible(wavelength: float, pixel: float) -> float:
    """Return the visible strength of a pattern: 0 below 0.8 pixels per wavelength, 1 above 2.2."""
    return float(smoothstep(0.8, 2.2, wavelength / pixel))


def _freckles(person: Person, rest: Floats, skin: Floats) -> NDArray[np.float64]:
    spots = smoothstep(0.55, 1.15, noise(rest, 21.0, person.seed + 9) + 0.4 * noise(rest, 8.0, person.seed + 10))
    region = (
        bump(rest, (0.30, 7.0, 1.4), 0.34)
        + 0.7 * bump(rest, (0.0, 7.05, 1.6), 0.25)
        + 0.3 * bump(rest, (0.3, 7.75, 1.4), 0.4)
    )
    cover = person.skin.freckles * spots * clamp(1.3 * region, 0.0, 1.0) * skin
    return 1.0 - cover[:, None] * np.array([0.26, 0.42, 0.52])


def _press(crease: Crease, rest: Floats, factor: NDArray[np.float32], tilt: NDArray[np.float32], pixel: float) -> None:
    """Press a line into the skin; `factor` and `tilt` are changed in place."""
    start, end = np.array(crease.start), np.array(crease.end)
    along = end - start
    length = float(np.hypot(*along))
    along /= length
    across = np.array([-along[1], along[0]])
    reach = 4.0 * crease.width + abs(crease.sag)
    low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach
    near = np.flatnonzero(((rest[:, :2] > low) & (rest[:, :2] < high)).all(1) & (rest[:, 2] > 0.5))
    if not len(near):
        return
    relative = rest[near, :2] - start
    t = (relative @ along) / length
    inside = clamp(t, 0.0, 1.0)
    distance = relative @ across - 4.0 * crease.sag * inside * (1.0 - inside)
    width = max(crease.width, 0.7 * pixel)
    fade = smoothstep(-0.02, 0.25, t) * smoothstep(1.02, 0.75, t) * crease.width / width
    profile = np.exp(-((distance / width) ** 2)) * fade
    slope = -2.0 * distance / width * profile * 0.55 * crease.depth
    tilt[near, 0] += slope * across[0]
    tilt[near, 1] += slope * across[1]
    dark = 0.30 * crease.depth * profile
    factor[near] *= 1.0 - dark[:, None] * np.array([0.7, 0.95, 1.0])
    factor[near] *= 1.0 + crease.lightness * profile[:, None] * np.array([0.9, 1.0, 1.0])
