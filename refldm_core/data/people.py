"""Drawing people by lot: who has which of the traits of `traits`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..synthetic.arrays import generator
from .traits import (
    RGB,
    Beard,
    BeardStyle,
    Brows,
    Eyes,
    Glasses,
    GlassesShape,
    Hair,
    HeadShape,
    Mouth,
    Nose,
    Scar,
    Spot,
    SyntheticPerson,
)

_PERSON_STREAM = 0x9E0

_SKIN: tuple[RGB, ...] = (
    (0.99, 0.87, 0.79),
    (0.96, 0.80, 0.68),
    (0.90, 0.70, 0.55),
    (0.78, 0.57, 0.42),
    (0.62, 0.43, 0.32),
    (0.47, 0.32, 0.25),
)
IRIS_COLORS: tuple[RGB, ...] = (
    (0.33, 0.17, 0.08),
    (0.56, 0.30, 0.10),
    (0.88, 0.58, 0.12),
    (0.55, 0.62, 0.16),
    (0.16, 0.62, 0.26),
    (0.08, 0.66, 0.62),
    (0.20, 0.55, 0.92),
    (0.10, 0.24, 0.75),
    (0.58, 0.66, 0.74),
    (0.52, 0.28, 0.82),
    (0.80, 0.22, 0.32),
)
"""Centers of the irises' colors, each drawn as often as the others."""
_HAIR: tuple[RGB, ...] = (
    (0.09, 0.08, 0.09),
    (0.21, 0.13, 0.09),
    (0.36, 0.22, 0.13),
    (0.52, 0.26, 0.12),
    (0.76, 0.36, 0.13),
    (0.84, 0.64, 0.33),
    (0.90, 0.81, 0.60),
    (0.62, 0.62, 0.64),
    (0.84, 0.84, 0.86),
    (0.85, 0.42, 0.58),
    (0.22, 0.42, 0.66),
    (0.45, 0.26, 0.55),
)
_BROW: tuple[RGB, ...] = (
    (0.08, 0.07, 0.07),
    (0.22, 0.14, 0.10),
    (0.36, 0.22, 0.13),
    (0.55, 0.28, 0.12),
    (0.66, 0.50, 0.28),
    (0.50, 0.50, 0.52),
)
_LIPS: tuple[RGB, ...] = (
    (0.80, 0.46, 0.42),
    (0.72, 0.32, 0.32),
    (0.84, 0.22, 0.28),
    (0.62, 0.16, 0.30),
    (0.88, 0.50, 0.52),
    (0.52, 0.26, 0.22),
)
_FRAMES: tuple[RGB, ...] = (
    (0.08, 0.08, 0.10),
    (0.30, 0.15, 0.08),
    (0.72, 0.10, 0.14),
    (0.10, 0.22, 0.62),
    (0.05, 0.42, 0.32),
    (0.42, 0.12, 0.46),
)


def person(seed: int) -> SyntheticPerson:
    """Draw somebody.

    Every trait is drawn by itself from `numpy.random.default_rng([0x9E0, seed])`, so that knowing one says little
    about the others, but beards have the brows' color and come with short hair only; marks of the skin keep off the
    eyes, brows, nose, mouth, beard and glasses.

    Raises:
        SettingsError: a negative seed.
    """
    rng = generator(_PERSON_STREAM, seed)
    head = _head(rng)
    eyes = _eyes(rng)
    brows = _brows(rng, eyes)
    nose = Nose(rng.uniform(0.50, 0.66), rng.uniform(0.15, 0.26), rng.uniform(0.07, 0.12), rng.uniform(0.14, 0.30))
    mouth = _mouth(rng, head, nose)
    hair = _hair(rng)
    beard = _beard(rng, brows.color)
    if hair is not None and hair.length > 1.0:
        beard = None
    glasses = _glasses(rng)
    skin = _between(_SKIN, rng.uniform(0.0, len(_SKIN) - 1.0), rng, 0.015)
    free = _FreeSkin(head, eyes, brows, nose, mouth, hair, beard, glasses)
    count = int(rng.choice([0, 1, 2, 3, 4], p=[0.12, 0.22, 0.26, 0.22, 0.18]))
    return SyntheticPerson(
        seed=seed,
        head=head,
        skin=skin,
        blush=rng.uniform(0.1, 0.6),
        eyes=eyes,
        brows=brows,
        nose=nose,
        mouth=mouth,
        hair=hair,
        beard=beard,
        moles=free.moles(rng, count),
        freckles=_freckles(rng) if rng.random() < 0.25 else (),
        scar=free.scar(rng) if rng.random() < 0.15 else None,
        glasses=glasses,
        earrings=_pick(((0.95, 0.78, 0.25), (0.85, 0.88, 0.92), (0.85, 0.15, 0.25), (0.1, 0.55, 0.5)), rng, 0.02)
        if rng.random() < 0.3
        else None,
    )


def _pick(colors: tuple[RGB, ...], rng: np.random.Generator, spread: float) -> RGB:
    return _between(colors, float(rng.integers(len(colors))), rng, spread)


def _between(colors: tuple[RGB, ...], at: float, rng: np.random.Generator, spread: float) -> RGB:
    """The color at a fractional index, and a little beside it."""
    low = min(int(at), len(colors) - 2)
    mixed = np.array(colors[low]) * (1.0 - (at - low)) + np.array(colors[low + 1]) * (at - low)
    r, g, b = np.minimum(np.maximum(mixed + rng.normal(0.0, spread, 3), 0.03), 1.0)
    return float(r), float(g), float(b)


def _head(rng: np.random.Generator) -> HeadShape:
    return HeadShape(
        width=rng.uniform(0.96, 1.14),
        depth=rng.uniform(1.05, 1.15),
        top=rng.uniform(1.34, 1.5),
        chin=rng.uniform(1.40, 1.64),
        jaw=rng.uniform(2.0, 3.4),
        cheek=rng.uniform(1.75, 2.3),
    )


def _eyes(rng: np.random.Generator) -> Eyes:
    half_width = rng.uniform(0.28, 0.35)
    upper = rng.uniform(0.16, 0.25)
    lower = rng.uniform(0.10, 0.16)
    return Eyes(
        x=rng.uniform(0.46, 0.54),
        half_width=half_width,
        upper=upper,
        lower=lower,
        slant=rng.uniform(-0.16, 0.24),
        skew=rng.uniform(-0.2, 0.2),
        iris=min(rng.uniform(0.175, 0.215), 0.58 * (upper + lower) + 0.02),
        color=_pick(IRIS_COLORS, rng, 0.03),
        lashes=rng.uniform(0.0, 1.0),
        shadow=_pick(((0.35, 0.3, 0.55), (0.6, 0.3, 0.4), (0.25, 0.45, 0.5), (0.45, 0.3, 0.2)), rng, 0.03)
        if rng.random() < 0.25
        else None,
    )


def _brows(rng: np.random.Generator, eyes: Eyes) -> Brows:
    return Brows(
        y=-eyes.upper - rng.uniform(0.17, 0.27),
        half_width=rng.uniform(0.24, 0.36),
        thickness=rng.uniform(0.045, 0.14),
        arch=rng.uniform(0.0, 0.12),
        slope=rng.uniform(-0.22, 0.28),
        color=_pick(_BROW, rng, 0.02),
    )


def _mouth(rng: np.random.Generator, head: HeadShape, nose: Nose) -> Mouth:
    middle = nose.tip + 0.12 + (head.chin - nose.tip - 0.12) * rng.uniform(0.36, 0.46)
    return Mouth(
        y=middle,
        half_width=rng.uniform(0.28, 0.46),
        upper=rng.uniform(0.045, 0.11),
        lower=rng.uniform(0.06, 0.14),
        bow=rng.uniform(0.0, 0.5),
        color=_pick(_LIPS, rng, 0.03),
    )


def _hair(rng: np.random.Generator) -> Hair | None:
    style = rng.choice(["bald", "buzz", "short", "bob", "long"], p=[0.08, 0.1, 0.34, 0.2, 0.28])
    fringe = rng.choice(["back", "parted", "full"], p=[0.4, 0.35, 0.25])
    curly = rng.random() < 0.3
    color = _pick(_HAIR, rng, 0.02)
    waves = int(rng.integers(7, 13))
    side_of_parting = -1.0 if rng.random() < 0.5 else 1.0
    if style == "bald":
        return None
    if style == "buzz":
        line = rng.uniform(-1.05, -0.85)
        return Hair(color, 1.035, 1.03, 0.5, line, 0.45, 0.0, 0.15, 1.2, 0.0, 0.0, waves, 0.0)
    line = {"back": rng.uniform(-1.05, -0.85), "parted": rng.uniform(-0.88, -0.7), "full": rng.uniform(-0.62, -0.5)}
    sides = rng.uniform(1.08, 1.16) + (0.12 if curly else 0.0)
    length, side = {
        "short": (0.75, rng.uniform(-0.1, 0.3)),
        "bob": (rng.uniform(1.1, 1.7), 9.0),
        "long": (rng.uniform(2.3, 2.9), 9.0),
    }[str(style)]
    return Hair(
        color=color,
        sides=sides if style == "short" else sides + rng.uniform(0.04, 0.16),
        above=rng.uniform(1.08, 1.16) + (0.04 if curly else 0.0),
        length=length,
        line=line[str(fringe)],
        line_curve={"back": 0.4, "parted": 0.3, "full": 0.1}[str(fringe)],
        line_tilt=side_of_parting * {"back": 0.0, "parted": rng.uniform(0.2, 0.4), "full": 0.0}[str(fringe)],
        side=side,
        opening=rng.uniform(0.95, 1.1) if style != "short" else rng.uniform(1.05, 1.2),
        fringe={"back": 0.0, "parted": 0.05, "full": rng.uniform(0.03, 0.09)}[str(fringe)],
        curl=rng.uniform(0.05, 0.09) if curly else 0.0,
        waves=waves,
        bun=rng.uniform(0.28, 0.36) if style != "bob" and rng.random() < 0.14 else 0.0,
    )


def _beard(rng: np.random.Generator, color: RGB) -> Beard | None:
    styles: tuple[BeardStyle, ...] = ("full", "goatee", "moustache", "stubble")
    style = styles[int(rng.integers(4))]
    cover = {"full": 0.92, "goatee": 0.9, "moustache": 0.92, "stubble": 0.32}[style]
    return Beard(style, cover, color) if rng.random() < 0.34 else None


def _glasses(rng: np.random.Generator) -> Glasses | None:
    shapes: tuple[GlassesShape, ...] = ("round", "square", "wide", "cat")
    shape = shapes[int(rng.integers(4))]
    half_height = {"round": 0.38, "square": 0.34, "wide": 0.27, "cat": 0.32}[shape] + rng.uniform(-0.02, 0.03)
    color = _pick(_FRAMES, rng, 0.02)
    line = rng.uniform(0.06, 0.085)
    half_width = rng.uniform(0.37, 0.41)
    return Glasses(shape, half_width, half_height, line, color) if rng.random() < 0.35 else None


def _freckles(rng: np.random.Generator) -> tuple[Spot, ...]:
    """Small spots on nose and cheeks."""
    count = int(rng.integers(14, 26))
    side = rng.choice([-1.0, 1.0], count)
    x = side * np.abs(rng.normal(0.42, 0.2, count))
    y = rng.normal(0.47, 0.11, count)
    r = rng.uniform(0.018, 0.032, count)
    return tuple(Spot(float(a), float(b), float(c)) for a, b, c in zip(x, y, r, strict=True))


@dataclass(frozen=True)
class _FreeSkin:
    """Where marks of the skin can be seen in nearly every picture."""

    head: HeadShape
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    hair: Hair | None
    beard: Beard | None
    glasses: Glasses | None

    def moles(self, rng: np.random.Generator, count: int) -> tuple[Spot, ...]:
        """Up to `count` moles, apart from each other; tries a fixed number of places, so that it always ends."""
        found: list[Spot] = []
        for _ in range(200):
            if len(found) == count:
                break
            x, y, r = rng.uniform(-0.72, 0.72), rng.uniform(-0.7, 1.4), rng.uniform(0.055, 0.08)
            if self._is_free(x, y, 1.6 * r) and all(math.hypot(x - m.x, y - m.y) > 0.3 for m in found):
                found.append(Spot(x, y, r))
        return tuple(found)

    def scar(self, rng: np.random.Generator) -> Scar | None:
        """A scar on free skin, None where no place was found."""
        for _ in range(100):
            x, y, angle = rng.uniform(-0.65, 0.65), rng.uniform(-0.7, 1.2), rng.uniform(0.0, math.pi)
            length = rng.uniform(0.12, 0.2)
            dx, dy = length * math.cos(angle), length * math.sin(angle)
            if all(self._is_free(x + f * dx, y + f * dy, 0.04) for f in (-1.0, -0.5, 0.0, 0.5, 1.0)):
                return Scar(x - dx, y - dy, x + dx, y + dy, rng.uniform(0.045, 0.06))
        return None

    def _is_free(self, x: float, y: float, margin: float) -> bool:
        side = abs(x)
        top = -0.6
        if self.hair is not None:
            top = max(-0.6, self.hair.line + self.hair.fringe + 0.8 * abs(self.hair.line_tilt)) + 0.2
        bottom = self.nose.tip if self.beard is not None else self.head.chin * (1.0 - 0.45 * side**2) - 0.2
        if not (top + margin < y < bottom - margin and side < 0.72):
            return False
        eyes, brows, mouth = self.eyes, self.brows, self.mouth
        beside_eye = abs(side - eyes.x) < 0.42 + margin
        brow = brows.thickness + brows.arch + 0.3 * abs(brows.slope) + 0.1 + margin
        return not (
            (beside_eye and abs(y - brows.y + 0.05) < brow)
            or (beside_eye and abs(y) < 0.3 + margin)
            or (side < self.nose.half_width + 0.1 + margin and -0.35 < y < self.nose.tip + 0.2 + margin)
            or (side < mouth.half_width + 0.12 + margin and -0.32 < y - mouth.y - 0.06 < 0.36)
            or (self.glasses is not None and -0.45 - margin < y < 0.5 + margin)
        )
