"""What changes from one picture of a drawn person to the next: pose, expression, light, background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .people import generator
from .traits import RGB

_CONDITIONS_STREAM = 0xC04D


@dataclass(frozen=True)
class Expression:
    """A face's movement.

    Attributes:
        smile: -1 (sad) .. 1.
        mouth_open: 0 (closed) .. 1.
        eyes_open: 0.6 .. 1.1, of the person's own opening.
        brow_raise: -1 .. 1.
        gaze: (x, y) of the irises from the middle of the eyes, -1 .. 1.
    """

    smile: float
    mouth_open: float
    eyes_open: float
    brow_raise: float
    gaze: tuple[float, float]


@dataclass(frozen=True)
class Light:
    """One lamp and the light from everywhere.

    Attributes:
        direction: (x, y, z) of unit length, from the face to the lamp: x right, y down, z toward the viewer.
        strength: of the lamp; with `ambient` it makes about 1.1 where the face is brightest.
        ambient: of the light from everywhere.
        color: of both; mild, so that an iris keeps its color.
    """

    direction: tuple[float, float, float]
    strength: float
    ambient: float
    color: RGB


@dataclass(frozen=True)
class Blob:
    """A blurred spot of the background; place and radius as fractions of the picture."""

    x: float
    y: float
    radius: float
    color: RGB


@dataclass(frozen=True)
class Background:
    """A gradient from one color (top left to bottom right at `angle` radians) to the other, and blobs."""

    first: RGB
    second: RGB
    angle: float
    blobs: tuple[Blob, ...]


@dataclass(frozen=True)
class Conditions:
    """Everything about a picture but the person.

    Attributes:
        yaw: degrees, positive turns the face to the right as seen.
        pitch: degrees, positive looks up.
        roll: degrees, positive turns the head clockwise as seen.
        clothes: color of the clothes.
    """

    yaw: float
    pitch: float
    roll: float
    expression: Expression
    light: Light
    background: Background
    clothes: RGB


def conditions(seed: int) -> Conditions:
    """Draw conditions, from `numpy.random.default_rng([0xC04D, seed])`.

    Raises:
        SettingsError: a negative seed.
    """
    rng = generator(_CONDITIONS_STREAM, seed)
    return Conditions(
        yaw=_bell(rng, 25.0),
        pitch=_bell(rng, 12.0),
        roll=_bell(rng, 12.0),
        expression=Expression(
            smile=rng.uniform(-0.2, 1.0),
            mouth_open=max(0.0, rng.uniform(-0.8, 0.9)),
            eyes_open=rng.uniform(0.78, 1.06),
            brow_raise=rng.uniform(-0.6, 1.0),
            gaze=(_bell(rng, 1.0), _bell(rng, 0.7)),
        ),
        light=_light(rng),
        background=_background(rng),
        clothes=_color(rng, 0.12, 0.9),
    )


def _bell(rng: np.random.Generator, limit: float) -> float:
    """Within +-`limit`, the middle more often than the ends."""
    return limit * float(rng.uniform(-1.0, 1.0) + rng.uniform(-1.0, 1.0)) / 2.0 * 1.1


def _light(rng: np.random.Generator) -> Light:
    azimuth, height = rng.uniform(-1.0, 1.0), rng.uniform(-0.1, 0.8)
    direction = (
        float(np.sin(azimuth) * np.cos(height)),
        float(-np.sin(height)),
        float(np.cos(azimuth) * np.cos(height)),
    )
    warmth, tint = rng.normal(0.0, 0.03), rng.normal(0.0, 0.012)
    color = (1.0 + float(warmth), 1.0 + float(tint), 1.0 - float(warmth))
    ambient = rng.uniform(0.46, 0.68)
    return Light(direction, rng.uniform(1.02, 1.16) - ambient, ambient, color)


def _background(rng: np.random.Generator) -> Background:
    blobs = tuple(
        Blob(rng.uniform(0.0, 1.0), rng.uniform(0.0, 1.0), rng.uniform(0.1, 0.3), _color(rng, 0.1, 0.95))
        for _ in range(int(rng.integers(0, 6)))
    )
    return Background(_color(rng, 0.1, 0.95), _color(rng, 0.1, 0.95), rng.uniform(0.0, 2.0 * np.pi), blobs)


def _color(rng: np.random.Generator, low: float, high: float) -> RGB:
    gray = rng.uniform(low, high)
    r, g, b = np.minimum(np.maximum(gray + rng.normal(0.0, 0.13, 3), 0.03), 0.97)
    return float(r), float(g), float(b)
