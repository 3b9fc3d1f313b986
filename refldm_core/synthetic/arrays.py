"""Small array functions that every part of the renderer uses. Colors are linear unless a name says sRGB."""

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
"""Cells along each side of the noise lattice."""
_STRIDES = (_LATTICE**2, _LATTICE, 1)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear red, green and blue."""


def generator(stream: int, *seeds: int) -> np.random.Generator:
    """Return the random generator of a stream and its seeds. It gives the same numbers on every machine.

    Raises:
        SettingsError: a seed is negative.
    """
    if min(seeds) < 0:
        raise SettingsError(
            f"The seed {min(seeds)} is negative.", expected="0 or a positive number", remedy="choose another seed"
        )
    return np.random.default_rng([stream, *seeds])


def linear(srgb: ArrayLike) -> NDArray[np.float64]:
    """Convert sRGB in [0, 1] to linear light."""
    values = np.asarray(srgb, dtype=np.float64)
    return np.where(values > 0.04045, ((np.maximum(values, 0.0) + 0.055) / 1.055) ** 2.4, values / 12.92)


def srgb(light: ArrayLike) -> NDArray[np.float64]:
    """Convert linear light to sRGB, clipped to [0, 1]."""
    values = clamp(np.asarray(light, dtype=np.float64), 0.0, 1.0)
    return np.where(values > 0.0031308, 1.055 * values ** (1 / 2.4) - 0.055, 12.92 * values)


def rgb(values: ArrayLike) -> RGB:
    """Return three numbers as a tuple."""
    r, g, b = (float(value) for value in np.asarray(values))
    return r, g, b


def clamp(values: ArrayLike, low: float, high: float) -> Floats:
    """Limit values to [low, high]. numpy's own clip has no types that a strict checker can follow."""
    return np.minimum(np.maximum(np.asarray(values, dtype=_float_type(values)), low), high)


def _float_type(values: ArrayLike) -> type[np.float32] | type[np.float64]:
    """Return float32 for a float32 array and float64 for everything else."""
    return np.float32 if getattr(values, "dtype", None) == np.float32 else np.float64


def smoothstep(low: float, high: float, x: Floats | float) -> Floats:
    """Return 0 below `low`, 1 above `high`, and a smooth transition between them.

    With high < low, the result is 1 below `high` and 0 above `low`.
    """
    t = clamp((np.asarray(x) - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def unit(vectors: Floats) -> Floats:
    """Scale vectors (..., 3) to length 1. Zero vectors stay zero."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return vectors / np.maximum(length, 1e-9)[..., None]


def mix(a: Any, b: Any, weight: Any) -> Any:
    """Interpolate from a (weight 0) to b (weight 1)."""
    return a + (b - a) * weight


def bump(points: Floats, center: ArrayLike, radius: float) -> Floats:
    """Evaluate a Gaussian of height 1 around a point and around its mirror image in x: (n, 3) -> (n,)."""
    x, y, z = np.asarray(center, dtype=np.float64)
    squared = (np.abs(points[:, 0]) - x) ** 2 + (points[:, 1] - y) ** 2 + (points[:, 2] - z) ** 2
    return np.exp(-squared / radius**2)


def dot(a: Floats, b: Floats) -> Floats:
    """Return the inner products of vectors (..., 3)."""
    return np.einsum("...i,...i->...", a, b)


@lru_cache(maxsize=1)
def _lattice() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return random values on a periodic cubic lattice: (cells, 4), and the first of the four alone, (cells,)."""
    values = np.random.default_rng(0x1A7).normal(size=(_LATTICE**3, 4)).astype(np.float32)
    return values, np.ascontiguousarray(values[:, 0])


def noise(points: Floats, frequency: float, seed: int) -> NDArray[np.float32]:
    """Evaluate smooth noise at points: (n, 3) -> (n,).

    It has mean 0, a standard deviation near 0.6, and `frequency` cells per unit of length.
    """
    cells, position = _cells(points, frequency, seed)
    return _interpolated(_lattice()[1], cells, list(position))


def noise_vectors(points: Floats, frequency: float, seed: int) -> NDArray[np.float32]:
    """Evaluate four independent kinds of `noise` at once: (n, 3) -> (n, 4)."""
    cells, position = _cells(points, frequency, seed)
    return _interpolated(_lattice()[0], cells, [fraction[:, None] for fraction in position])


def _cells(points: Floats, frequency: float, seed: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the lattice cell of each point, and its position within that cell in [0, 1); both are (3, n)."""
    # Each seed reads the same lattice at another offset.
    shift = np.random.default_rng([0x1A8, seed]).uniform(0.0, _LATTICE, 3)
    scaled = np.asarray(points, np.float32) * np.float32(frequency) + shift.astype(np.float32)
    coordinates = np.ascontiguousarray(transposed(scaled))
    low = np.floor(coordinates)
    return low.astype(np.int32), coordinates - low


def _interpolated(
    lattice: NDArray[np.float32], cells: NDArray[np.int32], position: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    last = _LATTICE - 1
    low = [(cells[axis] & last) * stride for axis, stride in enumerate(_STRIDES)]
    high = [((cells[axis] + 1) & last) * stride for axis, stride in enumerate(_STRIDES)]

    def along_z(column: NDArray[np.int32]) -> NDArray[np.float32]:
        first = lattice[column + low[2]]
        return np.asarray(first + position[2] * (lattice[column + high[2]] - first), np.float32)

    def along_y(plane: NDArray[np.int32]) -> NDArray[np.float32]:
        first = along_z(plane + low[1])
        return np.asarray(first + position[1] * (along_z(plane + high[1]) - first), np.float32)

    first = along_y(low[0])
    return np.asarray(first + position[0] * (along_y(high[0]) - first), np.float32)


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return the (3, 3) rotation of column vectors: pitch about x, then yaw about y, then roll about z, in radians."""
    (cy, cx, cz), (sy, sx, sz) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    return about_z @ about_y @ about_x
