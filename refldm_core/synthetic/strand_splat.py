"""Drawing strands: each is a row of half-transparent dots, so that thin hair has no stairs and lets skin show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import clamp
from .scipy_functions import reshaped
from .strands import Strands

_FRONT_LAYER = 0.035
"""Decimeters of hair that are seen into: what lies deeper counts e times less."""
_BIAS = 0.006
"""Decimeters that hair may lie under the skin and still be seen."""
_OPACITY = 0.9
_WIDEST = 2.4
"""Pixels of one dot; a wider strand is several dots wide."""
_THINNEST = 1.4
"""Pixels; of thinner strands only some are drawn, as much wider."""


@dataclass(frozen=True, eq=False)
class HairLayer:
    """Strands as seen: (h, w, 3) linear color, (h, w) cover in [0, 1], cover by kind, and (h, w) depth, 0 for none."""

    color: NDArray[np.float32]
    cover: NDArray[np.float32]
    kinds: dict[str, NDArray[np.float32]]
    depth: NDArray[np.float32]


def thinned(strands: Strands, scale: float) -> Strands:
    """Fewer and wider strands where they are much thinner than a pixel; `scale` is pixels a decimeter."""
    width = strands.width * scale
    if width >= _THINNEST or strands.kind != "hair":
        return strands
    step = min(int(np.ceil(_THINNEST / width)), 8)
    own = slice(None, None, step)
    return Strands(strands.nodes[own], strands.colors[own], step * strands.width, strands.kind, strands.thinness[own])


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
        layers: strands, (n, m, 3) their nodes in the picture with depth, (n, m, 3) their lit colors.
        solid: (h, w) depth of what hides them, 0 where there is nothing.
        scale: pixels a decimeter.
    """
    height, width = solid.shape
    count = height * width
    dots = [_dots(strands, nodes, colors, solid, scale) for strands, nodes, colors in layers]
    kinds: dict[str, NDArray[np.float32]] = {}
    for (strands, _, _), own in zip(layers, dots, strict=True):
        total = np.bincount(own.pixels, own.covers, count)
        kinds[strands.kind] = (kinds.get(strands.kind, 0.0) + total).astype(np.float32)
    for kind, total in kinds.items():
        kinds[kind] = reshaped((1.0 - np.exp(-total)), height, width)
    if not dots or not sum(len(own.pixels) for own in dots):
        empty = np.zeros((height, width), np.float32)
        return HairLayer(np.zeros((height, width, 3), np.float32), empty, kinds, empty)
    pixels = np.concatenate([own.pixels for own in dots])
    depths = np.concatenate([own.depths for own in dots])
    covers = np.concatenate([own.covers for own in dots])
    colors = np.concatenate([own.colors for own in dots])
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
    """Dots along strands that lie before what is solid."""
    height, width = solid.shape
    step = np.linalg.norm(np.diff(nodes[..., :2], axis=1), axis=-1)
    wide = strands.width * scale
    spacing = max(1.0, min(0.65 * wide, 1.6))
    per_segment = int(clamp(np.ceil(np.percentile(step, 80) / spacing), 1, 40)) if step.size else 1
    rows = max(1, int(np.ceil(wide / _WIDEST)))
    t = ((np.arange(per_segment) + 0.5) / per_segment).astype(np.float32)[None, None, :, None]
    places = nodes[:, :-1, None] * (1 - t) + nodes[:, 1:, None] * t
    shades = colors[:, :-1, None] * (1 - t) + colors[:, 1:, None] * t
    segments = int(nodes.shape[1]) - 1
    taper = 1.0 - 0.75 * np.array([((k + 0.5) / segments) ** 3 for k in range(segments)])
    cover = (strands.thinness[:, None] * taper).astype(np.float32) * (step * wide / (per_segment * rows)) * _OPACITY
    covers = np.broadcast_to(cover[:, :, None], places.shape[:3])
    across = np.stack([-np.diff(nodes[..., 1], axis=1), np.diff(nodes[..., 0], axis=1)], -1)
    across = across / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6)
    parts: list[_Dots] = []
    for row in range(rows):
        shift = (row - 0.5 * (rows - 1)) * wide / rows
        x = (places[..., 0] + shift * across[:, :, None, 0]).ravel()
        y = (places[..., 1] + shift * across[:, :, None, 1]).ravel()
        z = places[..., 2].ravel()
        inside = np.flatnonzero((x >= 0) & (y >= 0) & (x < width) & (y < height))
        pixels = y[inside].astype(np.int64) * width + x[inside].astype(np.int64)
        hiding = solid.ravel()[pixels]
        shown = (hiding == 0) | (z[inside] < hiding + _BIAS)
        inside, pixels = inside[shown], pixels[shown]
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
