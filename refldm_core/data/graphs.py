"""Connected components, computed by SciPy. SciPy has no type information, and is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


def connected_components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Number the groups of nodes that links join.

    Args:
        pairs: (m, 2) links, each between two of the nodes 0 to `count` - 1. A pair may occur more than once.
        count: number of nodes.

    Returns:
        (count,) the number of each node's group. Nodes of a group are joined directly or through others.
    """
    sparse: Any = import_module("scipy.sparse")
    graphs: Any = import_module("scipy.sparse.csgraph")
    links = sparse.coo_array((np.ones(len(pairs), dtype=np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(graphs.connected_components(links, directed=False)[1], dtype=np.int64)
