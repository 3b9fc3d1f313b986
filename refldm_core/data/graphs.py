"""Groups of things that links join. SciPy finds them; it comes without types, and is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


def connected_components(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Number the groups that links join.

    Args:
        pairs: (m, 2), each a link between two of `count` things; a pair may occur more than once.
        count: of things.

    Returns:
        (count,): things with the same number are joined, directly or through others.
    """
    sparse: Any = import_module("scipy.sparse")
    graphs: Any = import_module("scipy.sparse.csgraph")
    links = sparse.coo_array((np.ones(len(pairs), dtype=np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(graphs.connected_components(links, directed=False)[1], dtype=np.int64)
