"""Color and gloss of the skin at its vertices. They are placed on the average head, so that they move with the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, bump, clamp, linear, mix, noise, smoothstep
from .asset import head
from .facial_hair import beard_cover, brow_cover
from .hairline import scalp_cover
from .traits import Person

_RED_PLACES = (((0.40, 6.95, 1.25), 0.22, 0.6), ((0.0, 6.95, 1.66), 0.13, 0.7), ((0.0, 6.3, 1.45), 0.15, 0.3))
"""Center, radius and strength of the redness of cheeks, nose and chin."""
_MOUTH_INSIDE = (0.30, 0.10, 0.10)


@dataclass(frozen=True, eq=False)
class SkinFields:
    """Properties of the skin at its fine vertices.

    Attributes:
        albedo: (n, 3) linear.
        roughness: (n,) roughness of the gloss.
        lips, inside, stubble: (n,) shares in [0, 1] of lips, inside of the mouth, and beard.
    """

    albedo: NDArray[np.float64]
    roughness: Floats
    lips: Floats
    inside: Floats
    stubble: Floats


def skin_fields(person: Person) -> SkinFields:
    """Color a person's skin."""
    asset = head()
    points = asset.skin
    masks = asset.masks
    seed = person.seed
    color = np.tile(linear(person.skin.color), (len(points), 1))
    age = clamp((person.age - 30.0) / 45.0, 0.0, 1.0)
    unevenness = (
        0.5 * noise(points, 5.0, seed) + 0.3 * noise(points, 12.0, seed + 1) + 0.25 * noise(points, 27.0, seed + 2)
    )
    color *= 1.0 + (0.045 + 0.045 * age) * unevenness[:, None] * np.array([0.6, 1.0, 1.15])
    color *= 1.0 - _redness(person, points, masks["ears"])[:, None] * np.array([0.05, 0.40, 0.38])
    sockets = bump(points, (0.27, 7.12, 1.42), 0.11) * (0.22 + 0.3 * age) + 0.15 * bump(points, (0.2, 7.36, 1.4), 0.1)
    color *= 1.0 - sockets[:, None] * np.array([0.45, 0.62, 0.50])
    lids = masks["eyelids"]
    color *= 1.0 - lids[:, None] * np.array([0.10, 0.20, 0.18])
    if person.makeup is not None:
        shade = person.makeup.strength * lids * smoothstep(7.26, 7.34, points[:, 1])
        color = mix(color, linear(person.makeup.color) * clamp(1.6 - person.skin.melanin, 0.6, 1.6), shade[:, None])
    inside = masks["inside-mouth"]
    lips = clamp(1.3 * masks["lips"] * (1.0 - inside), 0.0, 1.0)
    lip_color = linear(person.lips.color) * (1.15 - 0.75 * person.skin.melanin)
    color = mix(color, lip_color, (person.lips.cover * lips)[:, None])
    color = mix(color, linear(_MOUTH_INSIDE), inside[:, None])
    hair = linear(person.hair.color)
    scalp = scalp_cover(person.hair) * (0.0 if person.hair.style == "bald" else 0.93)
    color = mix(color, hair * 0.6, scalp[:, None])
    stubble = np.zeros(len(points))
    if person.beard is not None:
        cover = beard_cover(person.beard) * {"stubble": 0.30, "short": 0.45, "full": 0.6}.get(person.beard.style, 0.5)
        color = mix(
            color, mix(linear(person.beard.color), linear((0.55,) * 3), 0.6 * person.beard.gray) * 0.6, cover[:, None]
        )
        stubble = beard_cover(person.beard)
    elif person.gender == "male":  # a shaved beard looks like a cool shadow
        shadow = beard_cover(None) * (0.05 + 0.13 * max(0.0, 1.0 - 2.0 * sum(person.hair.color) / 3.0))
        color *= 1.0 - shadow[:, None] * np.array([1.0, 0.85, 0.65])
    brow = brow_cover(person.brows) * 0.22 * person.brows.density
    color = mix(color, linear(person.brows.color), brow[:, None])
    shine = 0.08 * bump(points, (0.0, 7.75, 1.4), 0.4) + 0.10 * bump(points, (0.0, 7.0, 1.6), 0.16)
    shine = shine - 0.3 * scalp
    roughness = person.skin.roughness - shine - 0.16 * person.lips.gloss * lips
    return SkinFields(clamp(color, 0.002, 0.95), clamp(roughness, 0.3, 1.0), lips, inside, stubble)


def _redness(person: Person, points: Floats, ears: Floats) -> Floats:
    strength = sum((weight * bump(points, center, radius) for center, radius, weight in _RED_PLACES), 0.35 * ears)
    return person.skin.redness * (1.0 - 0.75 * person.skin.melanin) * clamp(strength, 0.0, 1.0)
