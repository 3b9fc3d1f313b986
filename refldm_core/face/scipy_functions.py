"""SciPy's functions that this part uses, with types: SciPy comes without any. It is imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


def hungarian(gain: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs (row, column) of (rows, columns) whose sum is largest, each row and column in one pair at most."""
    optimize: Any = import_module("scipy.optimize")
    rows, columns = optimize.linear_sum_assignment(gain, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True)]


def average_linkage(distances: NDArray[np.float64], limit: float) -> NDArray[np.int64]:
    """Number the clusters, (n, n) symmetric -> (n,): those with a mean distance above `limit` stay apart."""
    if len(distances) < 2:
        return np.zeros(len(distances), dtype=np.int64)
    hierarchy: Any = import_module("scipy.cluster.hierarchy")
    condensed = distances[np.triu_indices(len(distances), k=1)]
    tree = hierarchy.linkage(condensed, method="average")
    return np.asarray(hierarchy.fcluster(tree, limit, criterion="distance"), dtype=np.int64)


def cosine_transform(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """DCT-II of (height, width), orthonormal."""
    fft: Any = import_module("scipy.fft")
    return np.asarray(fft.dctn(picture, norm="ortho"), dtype=np.float64)
