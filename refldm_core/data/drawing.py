"""Painting with soft edges: how much of a pixel a shape covers, and laying colors over each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SettingsError
from .arrays import Color, Plane, clamp

Window = tuple[slice, slice]

PARTS = (
    "background",
    "skin",
    "brow",
    "eye",
    "glasses",
    "nose",
    "lips",
    "mouth",
    "hair",
    "beard",
    "ear",
    "neck",
    "clothes",
)
"""Names of the parsing's numbers; "mouth" is what an open mouth shows, "beard" the bearded skin."""

MIN_SIDE = 16


@dataclass(frozen=True)
class Canvas:
    """A picture being painted.

    Attributes:
        rgb: (3, height, width) float32.
        parts: (height, width) uint8, the part that covers most of each pixel.
    """

    rgb: NDArray[np.float32]
    parts: NDArray[np.uint8]

    @staticmethod
    def of(width: int, height: int) -> Canvas:
        """An empty canvas.

        Raises:
            SettingsError: a side below `MIN_SIDE`.
        """
        if min(width, height) < MIN_SIDE:
            raise SettingsError(
                f"A picture of {width}x{height} pixels is too small to draw a face.",
                expected=f"at least {MIN_SIDE} pixels along each side",
                remedy="choose a larger size",
            )
        return Canvas(np.zeros((3, height, width), np.float32), np.zeros((height, width), np.uint8))

    @staticmethod
    def blank(height: int, width: int, rgb: ArrayLike) -> Canvas:
        """A canvas of one color, all of it skin."""
        filled = np.empty((3, height, width), np.float32)
        filled[:] = color(rgb)
        return Canvas(filled, np.full((height, width), PARTS.index("skin"), np.uint8))

    def window(self, top: int, left: int, height: int, width: int) -> Canvas:
        """A part of the canvas, sharing its memory."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        return Canvas(self.rgb[:, rows, columns], self.parts[rows, columns])

    def paint(self, color: Color, cover: Plane, part: str | None = None, at: Window | None = None) -> None:
        """Lay a color over the picture.

        Args:
            color: (3, 1, 1) or of the window's size.
            cover: (height, width) in [0, 1], of the window's size.
            part: what it is from half cover on; None leaves the part.
            at: the window, None for the whole canvas.
        """
        rows, columns = at or (slice(None), slice(None))
        under = self.rgb[:, rows, columns]
        under += cover * (color - under)
        if part is not None:
            self.parts[rows, columns][cover > 0.5] = PARTS.index(part)

    def to_u8(self) -> NDArray[np.uint8]:
        """(height, width, 3) uint8."""
        values = clamp(self.rgb) * 255.0 + 0.5
        return np.ascontiguousarray(np.moveaxis(values.astype(np.uint8), 0, -1))


def color(rgb: ArrayLike) -> Color:
    """(3,) -> (3, 1, 1)."""
    return np.asarray(rgb, dtype=np.float32)[:, None, None]


def fill(distance: Plane, scale: float) -> Plane:
    """How much of each pixel a shape covers, from the distance to its edge in units, positive inside."""
    return clamp(distance * scale + 0.5)


def stroke(distance: Plane, half: Plane | float, scale: float) -> Plane:
    """How much of each pixel a line of half thickness `half` covers; right also for lines thinner than a pixel."""
    d = np.abs(distance)
    return fill(half - d, scale) - fill(-half - d, scale)


def soft(distance: Plane, width: float) -> Plane:
    """From 0 at -`width` to 1 at `width`, smoothly: an edge that is soft whatever the resolution."""
    t = clamp(distance * (0.5 / width) + 0.5)
    return t * t * (3 - 2 * t)


def bump(x: Plane, y: Plane, rx: float, ry: float) -> Plane:
    """A Gaussian hill of height 1."""
    return np.exp(-0.5 * ((x * (1 / rx)) ** 2 + (y * (1 / ry)) ** 2))


def segment(x: Plane, y: Plane, start: tuple[float, float], end: tuple[float, float]) -> Plane:
    """Distance to a straight line between two points."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = clamp(((x - start[0]) * dx + (y - start[1]) * dy) / max(dx * dx + dy * dy, 1e-9))
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
