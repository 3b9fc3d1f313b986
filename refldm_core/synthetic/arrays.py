"""Small functions of arrays that every part of the renderer uses. Colors are linear unless a name says sRGB."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import SettingsError
from .scipy_functions import transposed

Floats = NDArray[Any]
RGB = tuple[float, float, float]

_LATTICE = 32
_STRIDES = (_LATTICE**2, _LATTICE, 1)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear red, green and blue."""


def generator(stream: int, *seeds: int) -> np.random.Generator:
    """Random numbers of one stream and seed, the same on every machine.

    Raises:
        SettingsError: a negative seed.
    """
    if min(seeds) < 0:
        raise SettingsError(
            f"The seed {min(seeds)} is negative.", expected="0 or a positive number", remedy="choose another seed"
        )
    return np.random.default_rng([stream, *seeds])


def linear(srgb: ArrayLike) -> NDArray[np.float64]:
    """SRGB in [0, 1] -> linear light."""
    values = np.asarray(srgb, dtype=np.float64)
    return np.where(values > 0.04045, ((np.maximum(values, 0.0) + 0.055) / 1.055) ** 2.4, values / 12.92)


def srgb(light: ArrayLike) -> NDArray[np.float64]:
    """Linear light -> sRGB in [0, 1], clipped."""
    values = clamp(np.asarray(light, dtype=np.float64), 0.0, 1.0)
    return np.where(values > 0.0031308, 1.055 * values ** (1 / 2.4) - 0.055, 12.92 * values)


def rgb(values: ArrayLike) -> RGB:
    """Three numbers as a tuple."""
    r, g, b = (float(value) for value in np.asarray(values))
    return r, g, b


def clamp(values: ArrayLike, low: float, high: float) -> Floats:
    """Values within [low, high]. (numpy's own clip has no types that a strict checker can follow.)"""
    return np.minimum(np.maximum(np.asarray(values, dtype=_float_type(values)), low), high)


def _float_type(values: ArrayLike) -> type[np.float32] | type[np.float64]:
    """Float32 stays what it is, everything else becomes float64."""
    return np.float32 if getattr(values, "dtype", None) == np.float32 else np.float64


def smoothstep(low: float, high: float, x: Floats | float) -> Floats:
    """0 below `low`, 1 above `high` (or the other way round where high < low), smooth between."""
    t = clamp((np.asarray(x) - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def unit(vectors: Floats) -> Floats:
    """Vectors (..., 3) of length 1; zeros stay."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(length, 1e-9)[..., None]


def mix(a: Any, b: Any, weight: Any) -> Any:
    """From a (weight 0) to b (weight 1)."""
    return a + (b - a) * weight


def bump(points: Floats, center: ArrayLike, radius: float) -> Floats:
    """A Gaussian hill of height 1 around a point of the right or, mirrored, the left side: (n, 3) -> (n,)."""
    x, y, z = np.asarray(center, dtype=np.float64)
    squared = (np.abs(points[:, 0]) - x) ** 2 + (points[:, 1] - y) ** 2 + (points[:, 2] - z) ** 2
    return np.exp(-squared / radius**2)


def dot(a: Floats, b: Floats) -> Floats:
    """Inner products of vectors (..., 3)."""
    return np.einsum("...i,...i->...", a, b)


@lru_cache(maxsize=1)
def _lattice() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Random values of a cube that repeats itself in all directions: four for each cell, and the first of them."""
    values = np.random.default_rng(0x1A7).normal(size=(_LATTICE**3, 4)).astype(np.float32)
    return values, np.ascontiguousarray(values[:, 0])


def noise(points: Floats, frequency: float, seed: int) -> NDArray[np.float32]:
    """Smooth noise of mean 0 and deviation near 0.6, with `frequency` cells a unit of length: (n, 3) -> (n,)."""
    cells, share = _cells(points, frequency, seed)
    return _interpolated(_lattice()[1], cells, list(share))


def noise_vectors(points: Floats, frequency: float, seed: int) -> NDArray[np.float32]:
    """Four independent kinds of `noise` at once: (n, 3) -> (n, 4)."""
    cells, share = _cells(points, frequency, seed)
    return _interpolated(_lattice()[0], cells, [s[:, None] for s in share])


def _cells(points: Floats, frequency: float, seed: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Cell of the lattice and place in it, both (3, n)."""
    # Another seed is another place of the same lattice, far enough away.
    shift = np.random.default_rng([0x1A8, seed]).uniform(0.0, _LATTICE, 3)
    placed = np.asarray(points, np.float32) * np.float32(frequency) + shift.astype(np.float32)
    at = np.ascontiguousarray(transposed(placed))
    low = np.floor(at)
    return low.astype(np.int32), at - low


def _interpolated(
    lattice: NDArray[np.float32], cells: NDArray[np.int32], share: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    last = _LATTICE - 1
    low = [(cells[axis] & last) * stride for axis, stride in enumerate(_STRIDES)]
    high = [((cells[axis] + 1) & last) * stride for axis, stride in enumerate(_STRIDES)]

    def along_z(column: NDArray[np.int32]) -> NDArray[np.float32]:
        first = lattice[column + low[2]]
        return np.asarray(first + share[2] * (lattice[column + high[2]] - first), np.float32)

    def along_y(plane: NDArray[np.int32]) -> NDArray[np.float32]:
        first = along_z(plane + low[1])
        return np.asarray(first + share[1] * (along_z(plane + high[1]) - first), np.float32)

    first = along_y(low[0])
    return np.asarray(first + share[0] * (along_y(high[0]) - first), np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Radians -> (3, 3) for column vectors: first pitch about x, then yaw about y, then roll about z."""
    (cy, cx, cz), (sy, sx, sz) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    return about_z @ about_y @ about_x
