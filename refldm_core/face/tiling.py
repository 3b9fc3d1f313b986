"""The scales, tiles and turns in which a picture is searched, and the way of findings back to the whole picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .findings import Findings, Picture

_WELL_SEEN = 40.0  # pixels: a face of this size, or larger, is found reliably
_COARSER = 4.0  # largest ratio of two scales
_OVERLAP = 160  # of tiles: a face up to _WELL_SEEN * _COARSER lies whole in one of them
_AUTO_SMALLEST, _AUTO_SIDE = 24.0, 2048.0
_MAX_ENLARGEMENT = 4.0
SMALLEST_FACE = _WELL_SEEN / _MAX_ENLARGEMENT


def scales(size: Sequence[int], tile: int, smallest: float | None) -> list[float]:
    """At which scales to search a picture of (height, width), the finest first and the whole in one tile last."""
    longest = max(size)
    if smallest is None:
        smallest = _AUTO_SMALLEST * max(1.0, longest / _AUTO_SIDE)
    finest = min(_WELL_SEEN / smallest, _MAX_ENLARGEMENT)
    whole = min(tile / longest, finest)
    steps = math.ceil(math.log(finest / whole, _COARSER) - 0.05)  # hardly finer than the whole is not worth a search
    finer = [finest * (whole / finest) ** (i / steps) for i in range(steps)]
    # A face that fills the picture is also searched for at half the size: networks expect some room around it.
    return [*finer, whole, whole / 2.0]


def resize(picture: Picture, scale: float) -> tuple[Picture, tuple[float, float]]:
    """The picture resized, and by which factors (x, y) exactly."""
    height, width = picture.shape[:2]
    if abs(scale - 1.0) < 0.02:
        return picture, (1.0, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized: Any = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8), (size[0] / width, size[1] / height)


def tiles(picture: Picture, tile: int) -> Iterator[tuple[int, int, Picture]]:
    """Overlapping parts no larger than `tile`, each with its left and top."""
    height, width = picture.shape[:2]
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            yield left, top, np.ascontiguousarray(picture[top : top + tile, left : left + tile])


def _starts(length: int, tile: int) -> list[int]:
    if length <= tile:
        return [0]
    step = tile - min(_OVERLAP, tile // 2)
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def drop_cut(findings: Findings, origin: tuple[int, int], tile: Sequence[int], whole: Sequence[int]) -> Findings:
    """Without faces cut by a tile's border inside the picture: another tile, or a coarser scale, has them whole."""
    (left, top), (height, width) = origin, tile
    limits = np.array(
        [
            1.0 if left > 0 else -np.inf,
            1.0 if top > 0 else -np.inf,
            width - 2.0 if left + width < whole[1] else np.inf,
            height - 2.0 if top + height < whole[0] else np.inf,
        ]
    )
    boxes = findings.boxes
    inside = (boxes[:, :2] >= limits[:2]).all(axis=1) & (boxes[:, 2:] <= limits[2:]).all(axis=1)
    return Findings(boxes[inside], findings.scores[inside], findings.landmarks[inside])


def scale_back(findings: Findings, origin: tuple[int, int], factors: tuple[float, float]) -> Findings:
    def back(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return (points + np.asarray(origin) + 0.5) / np.asarray(factors) - 0.5

    boxes = np.reshape(back(np.reshape(findings.boxes, (-1, 2))), (-1, 4))
    return Findings(boxes, findings.scores, back(findings.landmarks))


def turn_back(findings: Findings, turn: int, size: Sequence[int]) -> Findings:
    """From the picture turned by quarter turns counter-clockwise to the upright one of (height, width)."""
    turn %= 4
    if turn == 0:
        return findings
    height, width = size[0], size[1]

    def back(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[..., 0], points[..., 1]
        turned = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[turn]
        return np.stack(turned, axis=-1)

    corners = back(np.reshape(findings.boxes, (-1, 2, 2)))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Findings(boxes, findings.scores, back(findings.landmarks))
