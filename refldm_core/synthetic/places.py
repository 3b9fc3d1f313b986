"""Sharp pictures of rooms, streets and gardens, which `backdrop` defocuses.

Pictures are linear: a well-lit white wall is near 1; lamps and sky are brighter. Positions and sizes are fractions of
the picture's height.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import RGB, Floats, clamp, linear, mix, smoothstep
from .conditions import Place
from .scipy_functions import blurred

Picture = NDArray[np.float64]
"""(rows, columns, 3) linear light."""


@dataclass(frozen=True, eq=False)
class _Canvas:
    """A picture to paint on in place, and the random generator for it."""

    picture: Picture
    rng: np.random.Generator

    def paint(self, x: float, y: float, width: float, height: float, color: Floats | float) -> None:
        """Paint a rectangle, given its top left corner."""
        rows = self.picture.shape[0]
        left, top = max(0, round(x * rows)), max(0, round(y * rows))
        self.picture[top : max(0, round((y + height) * rows)), left : max(0, round((x + width) * rows))] = color

    def dot(self, x: float, y: float, radius: float, color: Floats) -> None:
        """Paint a disk."""
        rows, columns = self.picture.shape[:2]
        v, u = np.mgrid[0:rows, 0:columns]
        cover = clamp((radius - np.hypot(u / rows - x, v / rows - y)) * rows + 0.5, 0.0, 1.0)
        self.picture[:] += cover[..., None] * (color - self.picture)

    def speck(self, x: float, y: float, radius: float, color: Floats) -> None:
        """Paint a leaf or a distant light: a square so small that the blur hides its form."""
        self.paint(x - radius, y - radius, 2 * radius, 2 * radius, color)

    def foliage(self, x: float, y: float, radius: float, leaves: int) -> None:
        """Paint leaves within a circle."""
        rng = self.rng
        for _ in range(leaves):
            angle, distance = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.random())
            color = _pick(rng, _LEAVES) * rng.uniform(0.4, 1.6)
            self.speck(x + distance * np.cos(angle), y + distance * np.sin(angle), rng.uniform(0.01, 0.03), color)


def _shade(rng: np.random.Generator, low: float, high: float, tint: float = 0.05) -> NDArray[np.float64]:
    """Draw a dull linear color between two sRGB grays."""
    return linear(clamp(rng.uniform(low, high) + rng.normal(0.0, tint, 3), 0.02, 1.0))


def _pick(rng: np.random.Generator, colors: tuple[RGB, ...]) -> NDArray[np.float64]:
    """Draw one of the sRGB colors, varied a little; linear."""
    return linear(clamp(np.array(colors[int(rng.integers(len(colors)))]) * rng.uniform(0.8, 1.15), 0.0, 1.0))


def _gradient(rows: int, columns: int, angle: float) -> NDArray[np.float64]:
    """Return a gradient from 0 to 1 along a direction, (rows, columns, 1)."""
    y, x = np.mgrid[0:rows, 0:columns]
    along = x / columns * np.cos(angle) + y / rows * np.sin(angle)
    return ((along - along.min()) / np.ptp(along))[..., None]


_WALLS: tuple[RGB, ...] = (
    (0.82, 0.79, 0.74),
    (0.74, 0.75, 0.74),
    (0.62, 0.66, 0.66),
    (0.70, 0.62, 0.54),
    (0.42, 0.47, 0.50),
    (0.80, 0.74, 0.62),
)
_WOODS: tuple[RGB, ...] = ((0.42, 0.28, 0.18), (0.56, 0.40, 0.26), (0.28, 0.19, 0.13), (0.66, 0.55, 0.42))
_BOOKS: tuple[RGB, ...] = (
    (0.60, 0.22, 0.18),
    (0.22, 0.30, 0.42),
    (0.75, 0.68, 0.55),
    (0.28, 0.38, 0.28),
    (0.16, 0.15, 0.16),
    (0.72, 0.48, 0.22),
)
_FACADES: tuple[RGB, ...] = (
    (0.58, 0.42, 0.34),
    (0.66, 0.60, 0.52),
    (0.52, 0.52, 0.52),
    (0.74, 0.68, 0.60),
    (0.45, 0.40, 0.38),
)
_LEAVES: tuple[RGB, ...] = (
    (0.26, 0.38, 0.16),
    (0.36, 0.48, 0.20),
    (0.18, 0.28, 0.14),
    (0.46, 0.50, 0.24),
    (0.55, 0.45, 0.20),
)
_LIGHTS: tuple[RGB, ...] = (
    (1.0, 0.80, 0.50),
    (1.0, 0.88, 0.70),
    (1.0, 0.55, 0.30),
    (0.75, 0.85, 1.0),
    (0.95, 0.30, 0.25),
    (0.45, 0.85, 0.65),
)


def _room(rng: np.random.Generator, rows: int, columns: int) -> Picture:
    width = columns / rows
    wall = _pick(rng, _WALLS)
    picture = mix(wall * 1.1, wall * 0.55, _gradient(rows, columns, rng.uniform(-0.4, 0.9)))
    canvas = _Canvas(picture, rng)
    corner = rng.uniform(0.1, 0.9) * width
    if rng.random() < 0.6:
        picture[:, round(corner * rows) :] *= rng.uniform(0.6, 0.8)
    if rng.random() < 0.65:
        x, w = rng.uniform(-0.2, 0.9) * width, rng.uniform(0.25, 0.5)
        y, h = rng.uniform(0.0, 0.2), rng.uniform(0.4, 0.7)
        canvas.paint(x - 0.03, y - 0.03, w + 0.06, h + 0.06, linear((0.9, 0.89, 0.87)))
        sky = np.array([1.5, 1.7, 1.9]) * rng.uniform(0.7, 1.5)
        canvas.paint(x, y, w, h, sky)
        canvas.paint(x, y + 0.55 * h, w, 0.45 * h, sky * 0.4 * np.array([0.85, 0.9, 0.7]))
        canvas.paint(x + 0.48 * w, y, 0.03, h, linear((0.8, 0.79, 0.77)))
        if rng.random() < 0.6:
            curtain = _shade(rng, 0.4, 0.85)
            for side in (x - 0.14, x + w + 0.02):
                for k in range(4):
                    canvas.paint(side + 0.03 * k, y - 0.05, 0.03, h + 0.4, curtain * (0.7 if k % 2 else 1.0))
    if rng.random() < 0.55:
        _bookshelf(canvas, rng.uniform(-0.1, 0.8) * width, rng.uniform(0.05, 0.5))
    for _ in range(int(rng.integers(0, 3))):
        x, y, w, h = (
            rng.uniform(0.0, 1.0) * width,
            rng.uniform(0.08, 0.4),
            rng.uniform(0.1, 0.25),
            rng.uniform(0.12, 0.25),
        )
        canvas.paint(x, y, w, h, _pick(rng, _WOODS) * 0.6)
        canvas.paint(x + 0.02, y + 0.02, w - 0.04, h - 0.04, _shade(rng, 0.3, 0.85, 0.1))
    canvas.paint(0.0, rng.uniform(0.78, 1.0), width, 1.0, _pick(rng, _WOODS) * rng.uniform(0.4, 0.9))
    if rng.random() < 0.5:
        x, y = rng.uniform(0.0, 1.0) * width, rng.uniform(0.2, 0.6)
        canvas.dot(x, y, 0.07, np.array([4.0, 3.0, 1.7]) * rng.uniform(0.4, 1.0))
        picture += 0.25 * np.array([1.0, 0.75, 0.45]) * blurred(picture.max(-1) > 1.5, 25.0).astype(float)[..., None]
    if rng.random() < 0.4:
        canvas.foliage(rng.uniform(0.0, 1.0) * width, rng.uniform(0.5, 0.9), 0.16, 60)
    return picture


def _bookshelf(canvas: _Canvas, x: float, y: float) -> None:
    rng = canvas.rng
    wood = _pick(rng, _WOODS)
    w = rng.uniform(0.35, 0.6)
    for shelf in range(3):
        top = y + 0.24 * shelf
        canvas.paint(x, top, w, 0.24, wood * 0.30)
        left = x + 0.01
        while left < x + w - 0.03:
            thickness, height = rng.uniform(0.015, 0.04), rng.uniform(0.13, 0.2)
            if rng.random() < 0.85:
                canvas.paint(left, top + 0.225 - height, thickness, height, _pick(rng, _BOOKS))
            left += thickness
        canvas.paint(x, top + 0.225, w, 0.02, wood)


def _street(rng: np.random.Generator, rows: int, columns: int) -> Picture:
    width = columns / rows
    sky = np.array([1.0, 1.12, 1.3]) * rng.uniform(0.8, 1.5)
    haze = np.array([1.2, 1.15, 1.05]) * rng.uniform(0.7, 1.2)
    picture = mix(sky, haze, _gradient(rows, columns, np.pi / 2))
    canvas = _Canvas(picture, rng)
    left, depth = -0.1, rng.uniform(0.5, 1.0)
    while left < width:
        w = rng.uniform(0.18, 0.5)
        top = rng.uniform(-0.25, 0.35)
        wall = _pick(rng, _FACADES) * rng.uniform(0.45, 1.0) * depth
        canvas.paint(left, top, w, 1.2, wall)
        pane = _shade(rng, 0.15, 0.4) if rng.random() < 0.8 else np.array([1.2, 0.9, 0.5])
        across, down = rng.uniform(0.06, 0.11), rng.uniform(0.09, 0.16)
        for v in np.arange(top + 0.04, 0.72, down):
            for u in np.arange(left + 0.03, left + w - 0.05, across):
                lit = rng.random() < 0.06
                canvas.paint(u, v, 0.5 * across, 0.55 * down, np.array([2.0, 1.5, 0.9]) if lit else pane)
        left += w
    road = _shade(rng, 0.35, 0.55, 0.02)
    horizon = rng.uniform(0.72, 0.92)
    canvas.paint(0.0, horizon, width, 1.5, road)
    for _ in range(int(rng.integers(1, 5))):
        x, car = rng.uniform(-0.1, 1.0) * width, _shade(rng, 0.1, 0.8, 0.12)
        canvas.paint(x, horizon - 0.10, 0.32, 0.16, car)
        canvas.paint(x + 0.05, horizon - 0.17, 0.2, 0.08, car * 0.35)
        canvas.speck(
            x + 0.3,
            horizon - 0.04,
            0.015,
            np.array([4.0, 3.4, 2.4]) if rng.random() < 0.5 else np.array([2.5, 0.3, 0.2]),
        )
    for _ in range(int(rng.integers(0, 4))):
        x = rng.uniform(0.0, 1.0) * width
        canvas.paint(
            x,
            rng.uniform(0.35, 0.6),
            rng.uniform(0.05, 0.2),
            rng.uniform(0.04, 0.1),
            _shade(rng, 0.3, 0.9, 0.2),
        )
    if rng.random() < 0.5:
        x = rng.uniform(0.0, 1.0) * width
        canvas.paint(x, 0.2, 0.03, 0.8, _pick(rng, _WOODS) * 0.4)
        canvas.foliage(x, rng.uniform(0.0, 0.3), rng.uniform(0.2, 0.35), 160)
    return picture


def _garden(rng: np.random.Generator, rows: int, columns: int) -> Picture:
    width = columns / rows
    light, dark = _pick(rng, _LEAVES) * 1.5, _pick(rng, _LEAVES) * 0.35
    mottled = sum(
        (blurred(rng.normal(size=(rows, columns)), s) * s for s in (3.0, 8.0, 20.0)), np.zeros((rows, columns))
    )
    picture = mix(dark, light, smoothstep(-1.6, 1.9, mottled)[..., None])
    canvas = _Canvas(picture, rng)
    horizon = rng.uniform(0.5, 0.9)
    grass = linear((0.45, 0.55, 0.24)) * rng.uniform(0.6, 1.5)
    canvas.paint(0.0, horizon, width, 1.5, grass)
    if rng.random() < 0.5:
        sky = np.array([1.3, 1.5, 1.8]) * rng.uniform(0.7, 1.3)
        canvas.paint(0.0, 0.0, width, rng.uniform(0.05, 0.4), sky)
    for _ in range(int(rng.integers(0, 4))):
        x, w = rng.uniform(0.0, 1.0) * width, rng.uniform(0.03, 0.1)
        canvas.paint(x, 0.0, w, horizon + 0.05, _pick(rng, _WOODS) * rng.uniform(0.2, 0.6))
    for _ in range(int(rng.integers(4, 10))):
        canvas.foliage(rng.uniform(0.0, 1.0) * width, rng.uniform(-0.05, 0.8), rng.uniform(0.08, 0.25), 40)
    gaps = rng.uniform(1.5, 4.0) * np.array([1.0, 1.05, 0.95])
    for _ in range(int(rng.integers(5, 40))):
        canvas.speck(rng.uniform(0.0, 1.0) * width, rng.uniform(-0.05, 0.6), rng.uniform(0.003, 0.010), gaps)
    return picture


def _wall(rng: np.random.Generator, rows: int, columns: int) -> Picture:
    color = _shade(rng, 0.18, 0.88, 0.05)
    y, x = np.mgrid[0:rows, 0:columns]
    spot = np.exp(-(((x / rows - rng.uniform(0.2, 0.8)) / 0.7) ** 2) - ((y / rows - rng.uniform(0.2, 0.7)) / 0.7) ** 2)
    cloud = blurred(rng.normal(size=(rows, columns)), 9.0) * 9.0
    return color * (0.55 + 0.65 * spot + 0.06 * cloud)[..., None]


def _night(rng: np.random.Generator, rows: int, columns: int) -> Picture:
    width = columns / rows
    picture = mix(
        np.array([0.02, 0.025, 0.05]), np.array([0.09, 0.07, 0.06]), _gradient(rows, columns, np.pi / 2)
    ) * rng.uniform(0.7, 2.0)
    canvas = _Canvas(picture, rng)
    for _ in range(int(rng.integers(2, 6))):
        canvas.paint(
            rng.uniform(-0.1, 1.0) * width,
            rng.uniform(0.0, 0.5),
            rng.uniform(0.15, 0.4),
            1.2,
            _shade(rng, 0.08, 0.22),
        )
    for _ in range(int(rng.integers(25, 70))):
        color = _pick(rng, _LIGHTS) * rng.uniform(2.0, 14.0)
        canvas.speck(
            rng.uniform(0.0, 1.0) * width,
            float(clamp(rng.normal(0.45, 0.22), -0.05, 1.1)),
            rng.uniform(0.003, 0.009),
            color,
        )
    return picture


PLACES: dict[Place, Callable[[np.random.Generator, int, int], Picture]] = {
    "room": _room,
    "street": _street,
    "garden": _garden,
    "wall": _wall,
    "night": _night,
}
