"""Find which point of which mesh a pixel shows: quads are sampled about once per pixel; the nearest sample wins."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp
from .scipy_functions import reshaped, sparse, transposed
from .subdivision import Quads

_MOST_SAMPLES = 48
"""Greatest number of samples along one side of a quad."""
_DENSITY = 1.15
"""Samples per pixel along each side. It is a little more than 1, since quads are sheared."""
_DEPTH_STEPS = 1e6
"""Steps per decimeter of depth. A depth fits 31 bits, so that depth and sample index share one integer."""
_HOLE_DEPTH = 0.05
"""Decimeters. A pixel that lies this far behind three of its four neighbors is a gap between samples."""
_EMPTY = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Fragments:
    """The visible part of one mesh.

    Attributes:
        pixels: (n,) flat indices into the picture.
        matrix: (n, vertices) CSR; it interpolates between the corners of the quad that each pixel shows.
    """

    pixels: NDArray[np.int64]
    matrix: Any

    def at(self, values: Floats) -> NDArray[np.float32]:
        """Interpolate values at the vertices, (vertices,) or (vertices, c), to the pixels: (n,) or (n, c)."""
        return self.matrix @ np.ascontiguousarray(values, dtype=np.float32)

    def all_at(self, *values: Floats) -> list[NDArray[np.float32]]:
        """Interpolate several arrays of values at once, which is faster."""
        columns = [reshaped(np.asarray(v, np.float32), len(v), -1) for v in values]
        joined = self.at(np.concatenate(columns, 1))
        ends = np.cumsum([column.shape[1] for column in columns])
        parts = np.split(joined, ends[:-1], axis=1)
        return [part[:, 0] if v.ndim == 1 else part for part, v in zip(parts, values, strict=True)]


@dataclass(frozen=True, eq=False)
class _Samples:
    """Samples of quads.

    Attributes:
        places: (n, 3) column, row and depth.
        quads: (n,) index of the sampled quad.
        sides: (n,) number of samples along each side of that quad.
        numbers: (n,) number of the sample within that quad.
    """

    places: NDArray[np.float32]
    quads: NDArray[np.int64]
    sides: NDArray[np.int8]
    numbers: NDArray[np.int16]


def rasterize(
    meshes: Sequence[tuple[NDArray[np.float32], Quads]], height: int, width: int
) -> tuple[list[Fragments], NDArray[np.float32]]:
    """Find the visible parts of opaque meshes. Quads that show their back are not drawn.

    Args:
        meshes: for each mesh, (vertices, 3) column, row and depth of its vertices, and (n, 4) quads.
        height, width: size of the picture in pixels.

    Returns:
        The fragments of each mesh, and the depth (height, width), 0 where there is nothing.
    """
    samples = [_sample(vertices, quads, height, width) for vertices, quads in meshes]
    places = np.concatenate([s.places for s in samples])
    nearest = nearest_samples(places, height, width)
    nearest = _without_holes(reshaped(nearest, height, width), places).ravel()
    seen = nearest >= 0
    depth = np.where(seen, places[np.maximum(nearest, 0), 2], 0.0).astype(np.float32)
    fragments: list[Fragments] = []
    start = 0
    for part, (vertices, quads) in zip(samples, meshes, strict=True):
        stop = start + len(part.places)
        pixels = np.flatnonzero((nearest >= start) & (nearest < stop))
        index = nearest[pixels] - start
        weights = np.zeros((len(pixels), 4), np.float32)
        sides = part.sides[index]
        for side in np.unique(sides):
            members = sides == side
            weights[members] = _weights(int(side))[part.numbers[index[members]]]
        corners = quads[part.quads[index]].ravel()
        starts = np.arange(0, len(corners) + 1, 4)
        shape = (len(pixels), len(vertices))
        fragments.append(Fragments(pixels, sparse.csr_matrix((weights.ravel(), corners, starts), shape)))
        start = stop
    return fragments, reshaped(depth, height, width)


def nearest_samples(places: NDArray[np.float32], height: int, width: int) -> NDArray[np.int64]:
    """Return the index of the nearest sample of each pixel, (height * width,), -1 for none.

    Args:
        places: (n, 3) column, row and depth of the samples.
        height, width: size of the picture in pixels.
    """
    columns, rows = places[:, 0].astype(np.int32), places[:, 1].astype(np.int32)
    inside = np.flatnonzero((places[:, 0] >= 0) & (places[:, 1] >= 0) & (columns < width) & (rows < height))
    depth = (clamp(places[inside, 2], 0.0, 2000.0) * _DEPTH_STEPS).astype(np.int64)
    buffer = np.full(height * width, _EMPTY)
    np.minimum.at(buffer, rows[inside].astype(np.int64) * width + columns[inside], (depth << 31) | inside)
    return np.where(buffer == _EMPTY, -1, buffer & 0x7FFFFFFF)


def _weights(side: int) -> NDArray[np.float32]:
    """Return bilinear weights of samples spread evenly over a quad, (side^2, 4)."""
    along = (np.arange(side) + 0.5) / side
    u, v = (axis.ravel() for axis in np.meshgrid(along, along))
    return np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], 1).astype(np.float32)


def _sample(vertices: NDArray[np.float32], quads: Quads, height: int, width: int) -> _Samples:
    x, y = np.ascontiguousarray(transposed(vertices[:, :2]))[:, quads]
    area = (x[:, 2] - x[:, 0]) * (y[:, 3] - y[:, 1]) - (y[:, 2] - y[:, 0]) * (x[:, 3] - x[:, 1])
    visible = area < 0
    for values, limit in ((x, width), (y, height)):
        visible &= functools.reduce(np.maximum, transposed(values)) > 0
        visible &= functools.reduce(np.minimum, transposed(values)) < limit
    visible = np.flatnonzero(visible)
    x, y = transposed(x[visible]), transposed(y[visible])
    edge_lengths = [np.maximum(np.abs(x[i] - x[i - 1]), np.abs(y[i] - y[i - 1])) for i in range(4)]
    longest_edge = functools.reduce(np.maximum, edge_lengths)
    diagonal = np.maximum(np.abs(x[2] - x[0]), np.abs(y[2] - y[0]))
    corners = vertices[quads[visible]]
    samples = np.ceil(_DENSITY * np.maximum(longest_edge, 0.7 * diagonal))
    sides = clamp(samples, 1, _MOST_SAMPLES).astype(np.int64)
    places: list[NDArray[np.float32]] = []
    owners: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int8]] = []
    numbers: list[NDArray[np.int16]] = []
    for side in np.unique(sides):
        members = np.flatnonzero(sides == side)
        count = int(side) ** 2
        places.append(reshaped(np.matmul(_weights(int(side)), corners[members]), -1, 3))
        owners.append(np.repeat(visible[members], count))
        counts.append(np.full(len(members) * count, side, np.int8))
        numbers.append(np.tile(np.arange(count, dtype=np.int16), len(members)))
    if not places:
        return _Samples(
            np.zeros((0, 3), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, np.int16)
        )
    return _Samples(np.concatenate(places), np.concatenate(owners), np.concatenate(counts), np.concatenate(numbers))


def _without_holes(nearest: NDArray[np.int64], places: NDArray[np.float32]) -> NDArray[np.int64]:
    """Let single pixels that fall between the samples of a surface show what a neighbor shows."""
    depth = np.where(nearest >= 0, places[np.maximum(nearest, 0), 2], np.float32(np.inf))
    padded, padded_depth = np.pad(nearest, 1, constant_values=-1), np.pad(depth, 1, constant_values=np.inf)
    windows = ((slice(0, -2), slice(1, -1)), (slice(2, None), slice(1, -1)))
    windows += ((slice(1, -1), slice(0, -2)), (slice(1, -1), slice(2, None)))
    nearer = [padded_depth[window] < depth - _HOLE_DEPTH for window in windows]
    hole = np.sum(nearer, axis=0) >= 3
    filled: NDArray[np.int64] = np.array(nearest)
    for window, is_nearer in zip(windows, nearer, strict=True):
        filled = np.where(hole & is_nearer, padded[window], filled)
    return filled
