"""The order in which a drawn picture is painted: background, then people from back to front."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Plane, clamp
from .conditions import Background
from .drawing import Canvas, color
from .eyes import paint_eyes, paint_temples
from .hair import paint_behind, paint_hair
from .sitter import Sitter
from .skin import paint_face


def paint_person(canvas: Canvas, sitter: Sitter) -> tuple[Plane, Plane]:
    """Paint somebody but for the glasses' front over the canvas, which is the sitter's window; the visible irises."""
    paint_behind(canvas, sitter)
    paint_face(canvas, sitter)
    irises = paint_eyes(canvas, sitter)
    paint_temples(canvas, sitter)
    paint_hair(canvas, sitter)
    return irises


def paint_background(canvas: Canvas, background: Background) -> None:
    """Rows and columns apart: the outer products are what makes it quick."""
    _, height, width = canvas.rgb.shape
    x = (np.arange(width, dtype=np.float32) + 0.5) / width
    y = (np.arange(height, dtype=np.float32) + 0.5) / height
    c, s = math.cos(background.angle), math.sin(background.angle)
    along = 0.5 + (0.7 * c) * (x[None, :] - 0.5) + (0.7 * s) * (y[:, None] - 0.5)
    first, second = color(background.first), color(background.second)
    canvas.rgb[:] = first + (second - first) * clamp(along)
    for blob in background.blobs:
        across = np.exp(-0.5 * ((x - blob.x) / blob.radius) ** 2)
        down = np.exp(-0.5 * ((y - blob.y) / blob.radius) ** 2)
        canvas.paint(color(blob.color), 0.8 * down[:, None] * across[None, :])
