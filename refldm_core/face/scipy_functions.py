"""Typed wrappers of SciPy's functions for faces. SciPy has no types itself, and is imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


def hungarian(gain: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the pairs (row, column) with the largest sum of gains (Hungarian method).

    Args:
        gain: (rows, columns). Each row and each column is in at most one pair.
    """
    optimize: Any = import_module("scipy.optimize")
    rows, columns = optimize.linear_sum_assignment(gain, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True)]


def average_linkage(distances: NDArray[np.float64], limit: float) -> NDArray[np.int64]:
    """Cluster by average linkage. Clusters with a mean distance above `limit` are not merged.

    Args:
        distances: (n, n), symmetric.
        limit: Maximum mean distance of two clusters that are merged.

    Returns:
        (n,) cluster numbers.
    """
    if len(distances) < 2:
        return np.zeros(len(distances), dtype=np.int64)
    hierarchy: Any = import_module("scipy.cluster.hierarchy")
    condensed = distances[np.triu_indices(len(distances), k=1)]
    tree = hierarchy.linkage(condensed, method="average")
    return np.asarray(hierarchy.fcluster(tree, limit, criterion="distance"), dtype=np.int64)


def cosine_transform(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II of a picture (height, width)."""
    fft: Any = import_module("scipy.fft")
    return np.asarray(fft.dctn(picture, norm="ortho"), dtype=np.float64)
