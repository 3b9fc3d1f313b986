"""Typed wrappers of the functions of SciPy and numpy that strict type checking cannot follow."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

_fft: Any = import_module("scipy.fft")
_ndimage: Any = import_module("scipy.ndimage")
_spatial: Any = import_module("scipy.spatial")
sparse: Any = import_module("scipy.sparse")

Sparse = Any
"""A CSR matrix."""


class Tree(Protocol):
    """A search tree over points."""

    def query(self, points: ArrayLike, k: int = 1) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the distances and indices of the k nearest points."""
        ...


def tree(points: ArrayLike) -> Tree:
    """Build a search tree over (n, d) points."""
    return _spatial.cKDTree(points)


def blurred(plane: NDArray[Any], sigma: float | tuple[float, ...], truncate: float = 2.5) -> NDArray[Any]:
    """Blur an array with a Gaussian. `sigma` is in pixels, one for all axes or one for each; the border is repeated."""
    return _ndimage.gaussian_filter(plane, sigma, mode="nearest", truncate=truncate)


def resized(picture: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Resize (h, w, c) by linear interpolation."""
    factors = (height / picture.shape[0], width / picture.shape[1], 1.0)
    return _ndimage.zoom(picture, factors, order=1, mode="nearest", grid_mode=True)


def convolved(picture: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve (h, w, c) with a (2 r + 1, 2 r + 1) kernel. The size stays; the border is repeated."""
    reach = kernel.shape[0] // 2
    padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    shape = [_fft.next_fast_len(side + 2 * reach, real=True) for side in padded.shape[:2]]
    spectrum = _fft.rfft2(padded, shape, axes=(0, 1)) * _fft.rfft2(kernel, shape, axes=(0, 1))[..., None]
    result = _fft.irfft2(spectrum, shape, axes=(0, 1))
    return result[2 * reach : 2 * reach + picture.shape[0], 2 * reach : 2 * reach + picture.shape[1]]


def transposed(matrix: NDArray[Any]) -> NDArray[Any]:
    """Transpose (n, m) to (m, n)."""
    return np.swapaxes(matrix, 0, 1)


def reshaped(array: NDArray[Any], *shape: int) -> NDArray[Any]:
    """Return the array in another shape."""
    return np.reshape(array, shape)
