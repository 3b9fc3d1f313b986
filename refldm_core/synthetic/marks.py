"""Draw the marks that tell skins apart: moles, scars and wrinkles. Their coordinates are those of `traits`."""

from __future__ import annotations

import math

import numpy as np

from .arrays import clamp
from .traits import Crease, Mole

_LEAST_DISTANCE = 0.16
"""Least distance between two moles in decimeters."""


def moles(rng: np.random.Generator, count: int, bearded: bool) -> tuple[Mole, ...]:
    """Draw up to `count` moles on free skin; none below the nose of a person with a beard."""
    placed: list[Mole] = []
    for _ in range(100):
        if len(placed) == count:
            break
        x, y, radius = rng.uniform(-0.58, 0.58), rng.uniform(6.35, 7.85), rng.uniform(0.013, 0.024)
        is_far = all(math.hypot(x - mole.x, y - mole.y) > _LEAST_DISTANCE for mole in placed)
        if is_far and _is_free(x, y, bearded):
            placed.append(Mole(float(x), float(y), float(radius), float(rng.uniform(0.6, 0.9))))
    return tuple(placed)


def scar(rng: np.random.Generator, bearded: bool) -> Crease | None:
    """Draw a scar on free skin; None if no attempt found a place."""
    for _ in range(50):
        x, y, angle, half = (
            rng.uniform(-0.5, 0.5),
            rng.uniform(6.4, 7.8),
            rng.uniform(0, math.pi),
            rng.uniform(0.06, 0.12),
        )
        dx, dy = half * math.cos(angle), half * math.sin(angle)
        if _is_free(x - dx, y - dy, bearded) and _is_free(x + dx, y + dy, bearded) and _is_free(x, y, bearded):
            sag = float(rng.uniform(-0.02, 0.02))
            return Crease((float(x - dx), float(y - dy)), (float(x + dx), float(y + dy)), sag, 0.011, 0.25, 0.3)
    return None


def _is_free(x: float, y: float, bearded: bool) -> bool:
    """Return whether the skin is bare at a point: no eye, brow, nostril, lip, hair or beard."""
    side = abs(x)
    if side > 0.62 - 0.35 * max(0.0, 6.8 - y) or y > 7.88 - 0.5 * max(0.0, side - 0.3):
        return False
    eye = 0.08 < side < 0.58 and 7.10 < y < 7.62
    nose = side < 0.24 and 6.86 < y < 7.02
    mouth = side < 0.36 and 6.50 < y < 6.80
    beard = bearded and y < 6.98
    return not (eye or nose or mouth or beard)


def wrinkles(rng: np.random.Generator, age: float) -> tuple[Crease, ...]:
    """Draw wrinkles: hardly any below 30 years, deep ones from 60 on."""
    strength = float(clamp((age - 28.0) / 40.0, 0.0, 1.0)) * rng.uniform(0.6, 1.1)
    lines: list[Crease] = []
    for height in (7.66, 7.75, 7.85):
        shift, reach, sag = rng.normal(0, 0.012), rng.uniform(0.26, 0.40), rng.normal(0.0, 0.012)
        depth = strength * rng.uniform(0.3, 0.9)
        lines.append(Crease((-reach, height + shift), (reach, height + shift), float(sag), 0.014, float(depth)))
    for side in (-1.0, 1.0):
        typical = [
            Crease((0.045, 7.42), (0.055, 7.56), 0.01, 0.012, strength * rng.uniform(0.0, 0.7)),
            Crease((0.16, 7.16), (0.44, 7.15), -0.05, 0.014, 0.12 + strength * rng.uniform(0.2, 0.5)),
            Crease((0.235, 6.97), (0.335, 6.66), 0.03, 0.022, 0.10 + strength * rng.uniform(0.3, 0.7)),
            Crease((0.30, 6.58), (0.31, 6.42), 0.01, 0.016, 0.7 * strength * rng.uniform(0.0, 0.8)),
        ]
        for k in range(3):  # crow's feet
            end = (0.62 + rng.normal(0, 0.01), 7.36 - 0.075 * k + rng.normal(0, 0.01))
            typical.append(Crease((0.525, 7.31 - 0.03 * k), end, 0.008, 0.009, strength * rng.uniform(0.3, 0.8)))
        lines += [_mirrored(rng, side, line) for line in typical]
    return tuple(line for line in lines if line.depth > 0.05)


def _mirrored(rng: np.random.Generator, side: float, line: Crease) -> Crease:
    """Shift a line of the face's right half as seen a little; mirror it to the left half where `side` is -1."""
    dx, dy = rng.normal(0.0, 0.008, 2)
    start, end = ((float(side * (x + dx)), float(y + dy)) for x, y in (line.start, line.end))
    return Crease(start, end, side * line.sag, line.width, float(line.depth))
