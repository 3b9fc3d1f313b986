"""Draw strands as rows of half-transparent dots, so that thin hair has smooth edges and lets skin show through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import clamp
from .scipy_functions import reshaped
from .strands import Strands

_FRONT_LAYER = 0.035
"""Decimeters of depth over which the weight of a dot falls by a factor of e."""
_BIAS = 0.006
"""Hair up to this many decimeters below the skin is still visible."""
_OPACITY = 0.9
_WIDEST = 2.4
"""Greatest width of a dot in pixels. A wider strand is several dots wide."""
_THINNEST = 1.4
"""Pixels. Of thinner strands, only every second, third and so on is drawn, and wider by the same factor."""


@dataclass(frozen=True, eq=False)
class HairLayer:
    """Drawn strands.

    Attributes:
        color: (h, w, 3) linear.
        cover: (h, w) in [0, 1].
        kinds: kind of hair -> its cover, (h, w) in [0, 1].
        depth: (h, w) depth of the nearest dot, 0 for none.
    """

    color: NDArray[np.float32]
    cover: NDArray[np.float32]
    kinds: dict[str, NDArray[np.float32]]
    depth: NDArray[np.float32]


def thinned(strands: Strands, scale: float) -> Strands:
    """Replace strands of the head that are much thinner than a pixel by fewer and wider ones.

    Args:
        strands: the strands.
        scale: pixels per decimeter.
    """
    width = strands.width * scale
    if width >= _THINNEST or strands.kind != "hair":
        return strands
    step = min(int(np.ceil(_THINNEST / width)), 8)
    selected = slice(None, None, step)
    return Strands(
        strands.nodes[selected],
        strands.colors[selected],
        step * strands.width,
        strands.kind,
        strands.thinness[selected],
    )


@dataclass(frozen=True, eq=False)
class _Dots:
    pixels: NDArray[np.int64]
    depths: NDArray[np.float32]
    colors: NDArray[np.float32]
    covers: NDArray[np.float32]


def splat(
    layers: Sequence[tuple[Strands, NDArray[np.float32], NDArray[np.float32]]],
    solid: NDArray[np.float32],
    scale: float,
) -> HairLayer:
    """Draw strands over a solid picture.

    Args:
        layers: strands; column, row and depth of their nodes, (n, m, 3); and lit colors of their nodes, (n, m, 3).
        solid: (h, w) depth of the surfaces that hide strands, 0 where there is nothing.
        scale: pixels per decimeter.
    """
    height, width = solid.shape
    count = height * width
    dots = [_dots(strands, nodes, colors, solid, scale) for strands, nodes, colors in layers]
    kinds: dict[str, NDArray[np.float32]] = {}
    for (strands, _, _), part in zip(layers, dots, strict=True):
        total = np.bincount(part.pixels, part.covers, count)
        kinds[strands.kind] = (kinds.get(strands.kind, 0.0) + total).astype(np.float32)
    for kind, total in kinds.items():
        kinds[kind] = reshaped((1.0 - np.exp(-total)), height, width)
    if not dots or not sum(len(part.pixels) for part in dots):
        empty = np.zeros((height, width), np.float32)
        return HairLayer(np.zeros((height, width, 3), np.float32), empty, kinds, empty)
    pixels = np.concatenate([part.pixels for part in dots])
    depths = np.concatenate([part.depths for part in dots])
    covers = np.concatenate([part.covers for part in dots])
    colors = np.concatenate([part.colors for part in dots])
    front = np.full(count, np.inf, np.float32)
    np.minimum.at(front, pixels, depths)
    weights = covers * np.exp(-(depths - front[pixels]) / _FRONT_LAYER)
    total = np.maximum(np.bincount(pixels, weights, count), 1e-9)
    color = np.stack([np.bincount(pixels, weights * colors[:, c], count) / total for c in range(3)], -1)
    cover = 1.0 - np.exp(-np.bincount(pixels, covers, count))
    return HairLayer(
        reshaped(color, height, width, 3).astype(np.float32),
        reshaped(cover, height, width).astype(np.float32),
        kinds,
        reshaped(np.where(np.isfinite(front), front, 0.0), height, width).astype(np.float32),
    )


def _dots(
    strands: Strands, nodes: NDArray[np.float32], colors: NDArray[np.float32], solid: NDArray[np.float32], scale: float
) -> _Dots:
    """Place dots along strands, where they lie before the solid surfaces."""
    height, width = solid.shape
    step = np.linalg.norm(np.diff(nodes[..., :2], axis=1), axis=-1)
    width_in_pixels = strands.width * scale
    spacing = max(1.0, min(0.65 * width_in_pixels, 1.6))
    per_segment = int(clamp(np.ceil(np.percentile(step, 80) / spacing), 1, 40)) if step.size else 1
    rows = max(1, int(np.ceil(width_in_pixels / _WIDEST)))
    t = ((np.arange(per_segment) + 0.5) / per_segment).astype(np.float32)[None, None, :, None]
    places = nodes[:, :-1, None] * (1 - t) + nodes[:, 1:, None] * t
    shades = colors[:, :-1, None] * (1 - t) + colors[:, 1:, None] * t
    segments = int(nodes.shape[1]) - 1
    taper = 1.0 - 0.75 * np.array([((k + 0.5) / segments) ** 3 for k in range(segments)])
    cover = (
        (strands.thinness[:, None] * taper).astype(np.float32)
        * (step * width_in_pixels / (per_segment * rows))
        * _OPACITY
    )
    covers = np.broadcast_to(cover[:, :, None], places.shape[:3])
    across = np.stack([-np.diff(nodes[..., 1], axis=1), np.diff(nodes[..., 0], axis=1)], -1)
    across = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6)
    parts: list[_Dots] = []
    for row in range(rows):
        shift = (row - 0.5 * (rows - 1)) * width_in_pixels / rows
        x = (places[..., 0] + shift * across[:, :, None, 0]).ravel()
        y = (places[..., 1] + shift * across[:, :, None, 1]).ravel()
        z = places[..., 2].ravel()
        inside = np.flatnonzero((x >= 0) & (y >= 0) & (x < width) & (y < height))
        pixels = y[inside].astype(np.int64) * width + x[inside].astype(np.int64)
        hiding = solid.ravel()[pixels]
        visible = (hiding == 0) | (z[inside] < hiding + _BIAS)
        inside, pixels = inside[visible], pixels[visible]
        parts.append(
            _Dots(
                pixels,
                np.asarray(z[inside], np.float32),
                reshaped(shades, -1, 3)[inside],
                np.minimum(covers.ravel()[inside], 3.0),
            )
        )
    return _Dots(
        np.concatenate([p.pixels for p in parts]),
        np.concatenate([p.depths for p in parts]),
        np.concatenate([p.colors for p in parts]),
        np.concatenate([p.covers for p in parts]),
    )
