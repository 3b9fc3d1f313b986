"""The shape of a person's head, as weights of the asset's morph targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .arrays import clamp
from .asset import head
from .traits import Gender

YOUNG, OLD = 25.0, 90.0
"""Ages of the asset's young and old heads."""

_OPPOSITES = (
    ("decr", "incr"),
    ("down", "up"),
    ("in", "out"),
    ("backward", "forward"),
    ("concave", "convex"),
    ("compress", "uncompress"),
)

_SPREAD: dict[str, float] = {
    "l-cheek": 0.26,
    "chin": 0.26,
    "chin-jaw-drop": 0.10,
    "chin-prognathism": 0.10,
    "l-ear": 0.30,
    "l-ear-wing": 0.18,
    "l-ear-trans": 0.12,
    "l-eye": 0.26,
    "l-eye-trans": 0.14,
    "l-eye-bag": 0.22,
    "l-eye-push": 0.12,
    "l-eye-corner": 0.22,
    "l-eye-scale": 0.20,
    "eyebrows": 0.26,
    "forehead": 0.14,
    "head-fat": 0.20,
    "head-scale": 0.13,
    "head-back": 0.10,
    "mouth": 0.17,
    "mouth-scale-depth": 0.08,
    "mouth-trans": 0.08,
    "mouth-angles": 0.12,
    "mouth-laugh-lines": 0.15,
    "nose": 0.24,
    "nose-trans": 0.08,
    "nose-scale": 0.20,
    "nose-hump": 0.20,
    "nose-point": 0.18,
}
"""Prefix of a pair of opposite targets -> standard deviation of their common weight.

The longest matching prefix counts. A pair without a prefix has the deviation 0. The asset's targets reach caricature at
weight 1. These deviations keep three quarters of all faces within the usual range.
"""

_SIDEWAYS = ("nose-trans-in", "mouth-trans-in")
"""Targets that move a central feature to one side. They are unused, since the asset has targets for asymmetry."""

_MEAN: dict[Gender, dict[str, float]] = {
    "female": {
        "chin-width": -0.18,
        "chin-height": -0.12,
        "chin-bones": -0.18,
        "chin-prominent": -0.10,
        "l-eye-scale": 0.20,
        "l-eye-height2": 0.26,
        "l-eye-height1": 0.06,
        "l-eye-height3": 0.06,
        "l-eye-corner2": 0.10,
        "eyebrows-trans-": 0.10,
        "l-cheek-bones": 0.12,
        "l-cheek-inner": 0.06,
        "mouth-upperlip-volume": 0.16,
        "mouth-lowerlip-volume": 0.14,
        "mouth-upperlip-height": 0.10,
        "mouth-angles": 0.12,
        "nose-scale-horiz": -0.16,
        "nose-scale-depth": -0.14,
        "nose-scale-vert": -0.10,
        "nose-volume": -0.16,
        "nose-point-width": -0.14,
        "nose-hump": -0.14,
        "nose-width3": -0.10,
        "nose-base": 0.10,
        "forehead-trans": 0.06,
        "neck-scale-horiz": -0.18,
        "neck-scale-depth": -0.10,
    },
    "male": {
        "l-eye-height2": 0.20,
        "l-eye-scale": 0.06,
        "chin-width": 0.06,
        "mouth-angles": 0.08,
        "nose-scale-depth": -0.05,
        "nose-volume": -0.06,
    },
}
"""Prefix of a pair of opposite targets -> mean of their common weight.

A positive weight applies the second target of the pair, in the order of `_OPPOSITES`.
"""

_OUTLINES = ("oval", "round", "square", "diamond", "rectangular", "triangular", "invertedtriangular")
_OUTLINE_SPREAD = 0.15
_ASYMMETRY = 0.10
_MAX_WEIGHT = 0.75


def ancestry_weights(
    gender: Gender, age: float, ancestry: tuple[float, float, float], weight: float, muscle: float
) -> dict[str, float]:
    """Return the weights of the asset's average heads of gender, age, ancestry, body weight and muscle.

    Args:
        gender: gender of the shape.
        age: age in years.
        ancestry: shares of African, Asian and Caucasian.
        weight: body weight, -1 (thin) to 1 (fat).
        muscle: muscle mass, -1 to 1.
    """
    old = float(clamp((age - YOUNG) / (OLD - YOUNG), 0.0, 1.0))
    weights: dict[str, float] = {}
    for stage, share in (("young", 1.0 - old), ("old", old)):
        for origin, part in zip(("african", "asian", "caucasian"), ancestry, strict=True):
            weights[f"{origin}-{gender}-{stage}"] = share * part
        muscles = (("averagemuscle", 1.0 - abs(muscle)), ("maxmuscle" if muscle > 0 else "minmuscle", abs(muscle)))
        masses = (("averageweight", 1.0 - abs(weight)), ("maxweight" if weight > 0 else "minweight", abs(weight)))
        for muscle_name, muscle_share in muscles:
            for mass_name, mass_share in masses:
                if (muscle_name, mass_name) != ("averagemuscle", "averageweight"):
                    weights[f"universal-{gender}-{stage}-{muscle_name}-{mass_name}"] = share * muscle_share * mass_share
    return weights


def face_weights(rng: np.random.Generator, gender: Gender) -> dict[str, float]:
    """Draw the weights of a person's own features.

    Both sides of the face get the same weights. A little asymmetry is drawn after that.
    """
    weights: dict[str, float] = {}
    for stem, low, high in _opposite_targets():
        spread = _spread(stem)
        if spread == 0.0 and stem.rstrip("-") not in _MEAN[gender]:
            continue
        mean = next((value for prefix, value in _MEAN[gender].items() if stem.startswith(prefix)), 0.0)
        value = float(clamp(rng.normal(mean, spread), -_MAX_WEIGHT, _MAX_WEIGHT))
        sides = (stem, "r-" + stem[2:]) if stem.startswith("l-") else (stem,)
        weights.update((side + (high if value > 0 else low), abs(value)) for side in sides)
    for outline in _OUTLINES:
        weights[f"head-{outline}"] = max(0.0, rng.normal(-0.08, _OUTLINE_SPREAD)) * (0.5 if outline == "oval" else 1.0)
    for name in sorted(head().target_index):
        if name.startswith("asym-") and name.endswith("-l"):
            value = rng.normal(0.0, _ASYMMETRY)
            weights[name[:-1] + ("l" if value > 0 else "r")] = min(abs(value), 0.4)
    return weights


def _opposite_targets() -> Iterator[tuple[str, str, str]]:
    """Yield (common part of the names, low ending, high ending) of every pair, in a fixed order.

    Pairs of the right side of the face and those of `_SIDEWAYS` are left out.
    """
    names = head().target_index
    for name in sorted(names):
        for low, high in _OPPOSITES:
            stem = name.removesuffix(low)
            if name.endswith("-" + low) and stem + high in names and not name.startswith(("r-", *_SIDEWAYS)):
                yield stem, low, high


def _spread(stem: str) -> float:
    prefixes = [prefix for prefix in _SPREAD if stem.startswith(prefix)]
    return _SPREAD[max(prefixes, key=len)] if prefixes else 0.0
