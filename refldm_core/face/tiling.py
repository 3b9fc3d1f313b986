"""Scales and tiles for the search of a picture, and the conversion of findings back to its pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .findings import Findings, Picture

RELIABLE_SIZE = 40.0
"""Pixels. A face of this size or larger is found reliably."""
_MAX_SCALE_RATIO = 4.0  # ratio of two neighboring scales
_TILE_OVERLAP = 160  # pixels; a face up to RELIABLE_SIZE * _MAX_SCALE_RATIO lies completely in one tile
_DEFAULT_SMALLEST = 24.0  # pixels; default size of the smallest face
_DEFAULT_SIDE = 2048.0  # pixels; in pictures with a longer side, the default grows in proportion to the side
_MAX_ENLARGEMENT = 4.0
SMALLEST_FACE = RELIABLE_SIZE / _MAX_ENLARGEMENT
"""Pixels. Smaller faces cannot be found."""


def scales(size: Sequence[int], tile: int, smallest: float | None) -> list[float]:
    """Return the scales at which a picture is searched, from fine to coarse.

    Args:
        size: (height, width) of the picture.
        tile: Pixels along each side of a tile.
        smallest: Size in pixels of the smallest face. None for the default (see `DetectionSettings`).

    Returns:
        Scales, of which the last two show the whole picture in one tile.
    """
    longest, finest = max(size), finest_scale(size, smallest)
    coarsest = min(tile / longest, finest)
    finer = _spaced(finest, coarsest)
    # Half of the coarsest scale finds a face that fills the picture: networks expect some space around a face.
    return [*finer, coarsest, coarsest / 2.0]


def overview_scales(size: Sequence[int], tile: int, smallest: float | None) -> list[float]:
    """Return the scales of an overview, from fine to coarse. It shows the smallest face at half of the finest scale.

    The arguments are as for `scales`. The last scale shows the whole picture in a quarter of a tile.
    """
    half = finest_scale(size, smallest) / 2.0
    coarsest = min(tile / max(size), half) / 2.0
    return [*_spaced(half, coarsest), coarsest]


def finest_scale(size: Sequence[int], smallest: float | None) -> float:
    """Return the scale at which the smallest face is found reliably. The arguments are as for `scales`."""
    if smallest is None:
        smallest = _DEFAULT_SMALLEST * max(1.0, max(size) / _DEFAULT_SIDE)
    return min(RELIABLE_SIZE / smallest, _MAX_ENLARGEMENT)


def _spaced(finest: float, coarsest: float) -> list[float]:
    """Return scales from the finest one on, such that none is too far from the next one or from the coarsest one."""
    # The margin of 0.05 saves a search at a scale that is hardly finer than the coarsest one.
    steps = math.ceil(math.log(finest / coarsest, _MAX_SCALE_RATIO) - 0.05)
    return [finest * (coarsest / finest) ** (i / steps) for i in range(steps)]


def resize(picture: Picture, scale: float) -> tuple[Picture, tuple[float, float]]:
    """Resize a picture, and return it with the exact factors (x, y). Scales within 2 percent of 1 change nothing."""
    height, width = picture.shape[:2]
    if abs(scale - 1.0) < 0.02:
        return picture, (1.0, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized: Any = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(resized, dtype=np.uint8), (size[0] / width, size[1] / height)


def tiles(picture: Picture, tile: int) -> Iterator[tuple[int, int, Picture]]:
    """Yield overlapping parts of a picture, no larger than `tile`, as (left, top, part)."""
    height, width = picture.shape[:2]
    for top in _starts(height, tile):
        for left in _starts(width, tile):
            yield left, top, np.ascontiguousarray(picture[top : top + tile, left : left + tile])


def _starts(length: int, tile: int) -> list[int]:
    """Return evenly spaced first pixels of the tiles along one side."""
    if length <= tile:
        return [0]
    step = tile - min(_TILE_OVERLAP, tile // 2)
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def windows_around(boxes: NDArray[np.float64], side: int, size: Sequence[int]) -> list[tuple[int, int]]:
    """Return the (left, top) of windows such that each box lies in one, with half of its size around it.

    A window may hold several boxes. No window leaves the picture, unless the picture is smaller than a window.

    Args:
        boxes: (n, 4), each at most half as large as a window.
        side: Pixels along each side of a window.
        size: (height, width) of the picture.
    """
    last = np.maximum(0, [size[1] - side, size[0] - side])
    limits = np.array([size[1], size[0]], dtype=np.float64)
    corners: list[tuple[int, int]] = []
    for box in boxes:
        around = (box[2:] - box[:2]) / 2.0
        low, high = np.maximum(box[:2] - around, 0.0), np.minimum(box[2:] + around, limits)
        if any((low >= corner).all() and (high <= np.add(corner, side)).all() for corner in corners):
            continue
        left, top = np.minimum(np.maximum(np.rint((box[:2] + box[2:] - side) / 2.0), 0), last)
        corners.append((int(left), int(top)))
    return corners


def drop_cut(findings: Findings, origin: tuple[int, int], tile: Sequence[int], picture: Sequence[int]) -> Findings:
    """Remove the faces that a border of the tile cuts, because another tile or a coarser scale shows them completely.

    A border of the tile that is also a border of the picture removes no face.

    Args:
        findings: Findings in pixels of the tile.
        origin: (left, top) of the tile in the picture.
        tile: (height, width) of the tile.
        picture: (height, width) of the picture.
    """
    (left, top), (height, width) = origin, tile
    limits = np.array(
        [
            1.0 if left > 0 else -np.inf,
            1.0 if top > 0 else -np.inf,
            width - 2.0 if left + width < picture[1] else np.inf,
            height - 2.0 if top + height < picture[0] else np.inf,
        ]
    )
    boxes = findings.boxes
    inside = (boxes[:, :2] >= limits[:2]).all(axis=1) & (boxes[:, 2:] <= limits[2:]).all(axis=1)
    return Findings(boxes[inside], findings.scores[inside], findings.landmarks[inside])


def scale_back(findings: Findings, origin: tuple[int, int], factors: tuple[float, float]) -> Findings:
    """Convert findings from pixels of a tile to pixels of the picture before `resize`.

    Args:
        findings: Findings in pixels of the tile.
        origin: (left, top) of the tile in the resized picture.
        factors: (x, y) from `resize`.
    """

    def convert(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return (points + np.asarray(origin) + 0.5) / np.asarray(factors) - 0.5

    boxes = np.reshape(convert(np.reshape(findings.boxes, (-1, 2))), (-1, 4))
    return Findings(boxes, findings.scores, convert(findings.landmarks))


def shift(findings: Findings, offset: tuple[int, int]) -> Findings:
    """Move findings by (x, y) pixels."""
    boxes = findings.boxes + np.array([*offset, *offset])
    return Findings(boxes, findings.scores, findings.landmarks + np.array(offset))


def turn_back(findings: Findings, turn: int, size: Sequence[int]) -> Findings:
    """Convert findings from pixels of a turned picture to pixels of the upright one.

    Args:
        findings: Findings in pixels of the turned picture.
        turn: Number of counter-clockwise quarter turns.
        size: (height, width) of the upright picture.
    """
    turn %= 4
    if turn == 0:
        return findings
    height, width = size[0], size[1]

    def convert(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[..., 0], points[..., 1]
        upright = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[turn]
        return np.stack(upright, axis=-1)

    corners = convert(np.reshape(findings.boxes, (-1, 2, 2)))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return Findings(boxes, findings.scores, convert(findings.landmarks))
