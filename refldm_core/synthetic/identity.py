"""Draw a person from a seed. Each group of traits has its own stream of random numbers, so that it can change alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from .arrays import RGB, clamp, generator, mix, rgb
from .marks import moles, scar, wrinkles
from .shape import ancestry_weights, face_weights
from .traits import (
    Beard,
    BeardStyle,
    Brows,
    Eyes,
    Gender,
    Glasses,
    Hair,
    HairStyle,
    Lips,
    Makeup,
    Person,
    Skin,
)

_STREAMS = {
    name: 0x5E0 + i
    for i, name in enumerate(("body", "shape", "skin", "eyes", "brows", "lips", "hair", "beard", "glasses", "marks"))
}

_SKIN: tuple[RGB, ...] = (
    (0.93, 0.77, 0.69),
    (0.89, 0.71, 0.61),
    (0.80, 0.62, 0.50),
    (0.67, 0.49, 0.38),
    (0.51, 0.36, 0.28),
    (0.36, 0.255, 0.20),
)
"""Color of the skin from melanin 0 to 1."""
_MELANIN = (0.92, 0.40, 0.12)
"""Mean melanin for African, Asian and Caucasian ancestry."""
_IRISES: tuple[tuple[RGB, RGB], ...] = (
    ((0.22, 0.13, 0.08), (0.16, 0.09, 0.06)),
    ((0.34, 0.20, 0.11), (0.24, 0.13, 0.07)),
    ((0.47, 0.31, 0.16), (0.35, 0.20, 0.09)),
    ((0.50, 0.42, 0.22), (0.46, 0.29, 0.12)),
    ((0.42, 0.48, 0.30), (0.50, 0.40, 0.20)),
    ((0.38, 0.52, 0.50), (0.50, 0.46, 0.30)),
    ((0.40, 0.54, 0.68), (0.52, 0.62, 0.70)),
    ((0.34, 0.46, 0.62), (0.48, 0.52, 0.54)),
    ((0.50, 0.55, 0.60), (0.58, 0.60, 0.60)),
)
"""Outer and inner color of irises, from dark brown to gray. The first three are usual with dark hair and skin."""
_HAIR: tuple[RGB, ...] = (
    (0.10, 0.085, 0.08),
    (0.17, 0.12, 0.09),
    (0.27, 0.185, 0.13),
    (0.38, 0.26, 0.17),
    (0.47, 0.37, 0.26),
    (0.60, 0.50, 0.37),
    (0.70, 0.61, 0.47),
    (0.46, 0.26, 0.17),
)
"""Black, dark browns, browns, dark blond, blond, red."""
_HAIR_CHANCES_DARK = (0.60, 0.30, 0.10, 0.0, 0.0, 0.0, 0.0, 0.0)
_HAIR_CHANCES_LIGHT = (0.08, 0.17, 0.20, 0.17, 0.12, 0.11, 0.08, 0.07)
_LIPSTICK: tuple[RGB, ...] = ((0.72, 0.30, 0.32), (0.62, 0.16, 0.20), (0.76, 0.42, 0.42), (0.55, 0.22, 0.26))
_EYESHADOW: tuple[RGB, ...] = ((0.35, 0.24, 0.20), (0.30, 0.26, 0.30), (0.48, 0.32, 0.28))
_FRAMES: tuple[tuple[RGB, bool], ...] = (
    ((0.06, 0.06, 0.07), False),
    ((0.06, 0.06, 0.07), False),
    ((0.30, 0.18, 0.10), False),
    ((0.26, 0.06, 0.08), False),
    ((0.08, 0.11, 0.18), False),
    ((0.72, 0.60, 0.38), True),
    ((0.60, 0.61, 0.63), True),
)

Style = TypeVar("Style", bound=str)

_StyleChances = dict[HairStyle, float]
_STYLES: dict[Gender, _StyleChances] = {
    "female": {"long": 4, "shoulder": 4, "waves": 4, "bob": 3, "tied": 4, "curly": 1.5, "crop": 0.8, "parted": 0.3},
    "male": {"crop": 4, "parted": 4, "swept": 3, "buzz": 2, "curly": 1.0, "bald": 0.8, "shoulder": 0.3},
}
"""Relative frequencies for straight and wavy hair."""
_COILED_STYLES: dict[Gender, _StyleChances] = {
    "female": {"afro": 3, "curly": 3, "tied": 3, "buzz": 0.7, "waves": 1.5, "bob": 1},
    "male": {"buzz": 5, "afro": 2.0, "crop": 1.5, "bald": 1.5, "curly": 1},
}
_BEARDS: dict[BeardStyle, float] = {"stubble": 3, "short": 2.5, "full": 1.5, "goatee": 1.5, "moustache": 0.7}
_MALE_WITH_BEARD = 0.48
_WITH_GLASSES = 0.24


@lru_cache(maxsize=256)
def person(seed: int) -> Person:
    """Draw an adult of 18 to 75 years. Women and men are equally frequent; skin is very light to very dark.

    Raises:
        SettingsError: the seed is negative.
    """
    rng = generator(_STREAMS["body"], seed)
    gender: Gender = "female" if rng.random() < 0.5 else "male"
    age = 18.0 + 57.0 * float(rng.beta(1.1, 1.5))
    a, b, c = (float(share) for share in rng.dirichlet((0.38, 0.38, 0.38)))
    ancestry = (a, b, c)
    weight, muscle = float(clamp(rng.normal(0.0, 0.38), -0.8, 0.9)), float(clamp(rng.normal(0.0, 0.4), -0.8, 0.8))
    shape = ancestry_weights(gender, age, ancestry, weight, muscle)
    for name, value in face_weights(generator(_STREAMS["shape"], seed), gender).items():
        shape[name] = shape.get(name, 0.0) + value
    hair = _hair(generator(_STREAMS["hair"], seed), gender, age, ancestry)
    beard = _beard(generator(_STREAMS["beard"], seed), gender, age, hair)
    glasses = _glasses(generator(_STREAMS["glasses"], seed), gender)
    lips, makeup = _makeup(generator(_STREAMS["lips"], seed), gender, age)
    return Person(
        seed=seed,
        gender=gender,
        age=age,
        ancestry=ancestry,
        shape=tuple(sorted((name, round(value, 6)) for name, value in shape.items() if abs(value) > 1e-4)),
        skin=_skin(generator(_STREAMS["skin"], seed), generator(_STREAMS["marks"], seed), age, ancestry, beard),
        eyes=_eyes(generator(_STREAMS["eyes"], seed), ancestry, hair),
        brows=_brows(generator(_STREAMS["brows"], seed), gender, age, hair),
        lips=lips,
        makeup=makeup,
        hair=hair,
        beard=beard,
        glasses=glasses,
    )


def _skin(
    rng: np.random.Generator,
    marks: np.random.Generator,
    age: float,
    ancestry: tuple[float, float, float],
    beard: Beard | None,
) -> Skin:
    melanin = float(clamp(np.dot(ancestry, _MELANIN) + rng.normal(0.0, 0.11), 0.0, 1.0))
    color = np.array(_interpolated(_SKIN, melanin)) * rng.uniform(0.97, 1.03) + rng.normal(0.0, 0.008, 3)
    freckled = rng.random() < 0.5 * max(0.0, 1.0 - 2.5 * melanin)
    lines = wrinkles(marks, age)
    scar_line = scar(marks, beard is not None) if marks.random() < 0.10 else None
    return Skin(
        color=rgb(clamp(color, 0.05, 0.97)),
        melanin=melanin,
        redness=float(rng.uniform(0.15, 0.9)),
        freckles=float(rng.uniform(0.35, 1.0)) if freckled else 0.0,
        moles=moles(marks, int(rng.choice([0, 1, 2, 3], p=[0.3, 0.3, 0.25, 0.15])), beard is not None),
        creases=lines if scar_line is None else (*lines, scar_line),
        roughness=float(rng.uniform(0.50, 0.62)),
    )


def _eyes(rng: np.random.Generator, ancestry: tuple[float, float, float], hair: Hair) -> Eyes:
    dark = ancestry[2] < 0.6 or sum(hair.color) < 0.36
    kind = int(rng.integers(3)) if dark and rng.random() < 0.94 else int(rng.integers(1, len(_IRISES)))
    outer, inner = (clamp(np.array(c) * rng.uniform(0.88, 1.12), 0.03, 0.9) for c in _IRISES[kind])
    return Eyes(rgb(outer), rgb(inner), float(rng.uniform(0.445, 0.485)))


def _brows(rng: np.random.Generator, gender: Gender, age: float, hair: Hair) -> Brows:
    female = gender == "female"
    darker = np.array(hair.color) * (0.75 if sum(hair.color) > 1.0 else 0.9)
    gray = 0.45 * hair.gray if age > 50 else 0.0
    return Brows(
        color=rgb(mix(darker, np.array([0.55, 0.54, 0.53]), gray)),
        thickness=float(rng.uniform(0.018, 0.032) if female else rng.uniform(0.030, 0.048)),
        height=float(rng.normal(0.016 if female else 0.004, 0.013)),
        arch=float(rng.uniform(0.015, 0.06) if female else rng.uniform(0.0, 0.035)),
        density=float(rng.uniform(0.45, 0.8) if female else rng.uniform(0.6, 1.0)),
    )


def _makeup(rng: np.random.Generator, gender: Gender, age: float) -> tuple[Lips, Makeup | None]:
    female = gender == "female"
    natural = Lips(
        (0.66, 0.35, 0.34),
        float(rng.uniform(0.4, 0.6) if female else rng.uniform(0.25, 0.42)),
        float(rng.uniform(0.2, 0.5)),
    )
    wears_makeup, wears_eyeshadow = rng.random() < 0.55, rng.random() < 0.6
    if not female or not wears_makeup:
        return natural, None
    color = _LIPSTICK[int(rng.integers(len(_LIPSTICK)))]
    lips = Lips(color, float(rng.uniform(0.6, 0.9)), float(rng.uniform(0.4, 0.9)))
    tint = _EYESHADOW[int(rng.integers(len(_EYESHADOW)))]
    return lips, Makeup(tint, float(rng.uniform(0.25, 0.7)) * (1.0 if age < 60 else 0.6)) if wears_eyeshadow else None


def _hair(rng: np.random.Generator, gender: Gender, age: float, ancestry: tuple[float, float, float]) -> Hair:
    coiled = ancestry[0] > 0.5
    chances = dict((_COILED_STYLES if coiled else _STYLES)[gender])
    if gender == "male" and age > 50:
        chances["bald"] = chances["bald"] + 2.0
    style = _draw(rng, chances)
    dark = ancestry[2] < 0.6
    kind = int(rng.choice(len(_HAIR), p=_HAIR_CHANCES_DARK if dark else _HAIR_CHANCES_LIGHT))
    onset = rng.normal(52.0, 9.0)
    gray = float(clamp((age - onset) / 22.0, 0.0, 1.0))
    dyed = gender == "female" and rng.random() < 0.5
    curls = {"curly": (0.035, 0.06), "afro": (0.02, 0.03), "waves": (0.03, 0.05)}
    low, high = (0.012, 0.03) if coiled else (0.0, 0.012)
    low, high = curls.get(style, (low, high))
    if ancestry[1] > 0.6 and style not in curls:
        low, high = 0.0, 0.006
    return Hair(
        style=style,
        color=rgb(clamp(np.array(_HAIR[kind]) * rng.uniform(0.85, 1.15), 0.03, 0.95)),
        gray=0.0 if dyed else gray,
        length=float(rng.uniform(0.8, 1.25)),
        curl=float(rng.uniform(low, high)),
        part=float(rng.choice([-1.0, 1.0]) * rng.uniform(0.02, 0.3)),
        sideburns=gender == "male",
        fringe=bool(rng.random() < (0.32 if gender == "female" else 0.3) and not coiled),
        recession=float(max(0.0, rng.normal(0.0, 0.03) + (0.11 * (age - 30) / 45 if gender == "male" else 0.0))),
        volume=float(rng.uniform(0.75, 1.3)),
    )


def _beard(rng: np.random.Generator, gender: Gender, age: float, hair: Hair) -> Beard | None:
    style = _draw(rng, _BEARDS)
    if gender == "female" or rng.random() > _MALE_WITH_BEARD:
        return None
    color = rgb(np.array(hair.color) * rng.uniform(0.75, 1.0))
    return Beard(style, color, float(clamp(hair.gray * 1.1 + (0.1 if age > 45 else 0.0), 0.0, 1.0)))


def _glasses(rng: np.random.Generator, gender: Gender) -> Glasses | None:
    color, metal = _FRAMES[int(rng.integers(len(_FRAMES)))]
    half_width = rng.uniform(0.225, 0.265)
    roundness = float(rng.choice([0.45, 0.6, 0.8, 1.0]))
    half_height = half_width * (rng.uniform(0.85, 0.98) if roundness == 1.0 else rng.uniform(0.62, 0.82))
    rim = rng.uniform(0.008, 0.011) if metal else rng.uniform(0.012, 0.021)
    wears_glasses = rng.random() < _WITH_GLASSES
    return (
        Glasses(float(half_width), float(half_height), roundness, float(rim), color, metal) if wears_glasses else None
    )


def _draw(rng: np.random.Generator, chances: dict[Style, float]) -> Style:
    """Draw one of the keys with the relative frequencies in the values."""
    names = list(chances)
    weights = np.array(list(chances.values()))
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _interpolated(colors: Sequence[RGB], share: float) -> RGB:
    """Interpolate the list of colors at a share in [0, 1] of its length."""
    position = share * (len(colors) - 1)
    low = min(int(position), len(colors) - 2)
    return rgb(mix(np.array(colors[low]), np.array(colors[low + 1]), position - low))
