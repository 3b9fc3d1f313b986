"""A graph of distances as bytes, for the records of a build."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .distances import BINS, DistanceGraph, Links

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, ValueError, LookupError, TypeError, OSError, EOFError),
    *(AttributeError, SyntaxError, RuntimeError),
)
"""Errors of zipfile and NumPy for damaged archives.

zipfile raises a subclass of RuntimeError for an unknown compression.
"""


def graph_to_bytes(numbers: NDArray[np.int64], graph: DistanceGraph) -> bytes:
    """Return a graph as a .npz file.

    Args:
        numbers: (rows,) numbers of the photos.
        graph: the distances among them.
    """
    file = io.BytesIO()
    forests = {f"forest_{i}": forest for i, forest in enumerate(graph.forests)}
    arrays: dict[str, Any] = {"numbers": numbers, "limits": np.array(graph.limits), **forests}
    np.savez(file, histogram=graph.histogram, **arrays)
    return file.getvalue()


def graph_from_bytes(content: bytes, limits: tuple[float, ...]) -> tuple[NDArray[np.int64], DistanceGraph] | None:
    """Read what `graph_to_bytes` made.

    Returns:
        The numbers of the photos (rows,) and the graph. None where the graph has other limits, or the content is
        damaged. The distances can then be computed again.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # `np.savez` compresses nothing. Compressed entries could expand a thousand times.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                return None
        with np.load(io.BytesIO(content)) as arrays:
            if tuple(arrays["limits"].tolist()) != limits:
                return None
            numbers: NDArray[np.int64] = arrays["numbers"]
            forests = tuple(arrays[f"forest_{i}"] for i in range(len(limits)))
            histogram: NDArray[np.int64] = arrays["histogram"]
    except _DAMAGED:
        return None
    rows = len(numbers) if _is_whole(numbers, 1) else -1
    fits = rows >= 0 and _is_whole(histogram, 1) and histogram.shape == (BINS,)
    if not fits or not all(_joins(forest, rows) for forest in forests):
        return None
    return numbers, DistanceGraph(rows, limits, forests, histogram)


def _is_whole(values: NDArray[Any], dimensions: int) -> bool:
    return values.dtype == np.int64 and values.ndim == dimensions


def _joins(links: Links, rows: int) -> bool:
    """Whether links are pairs of the first `rows` faces."""
    fits = _is_whole(links, 2) and links.shape[1] == 2 and len(links) <= max(rows - 1, 0)
    return fits and (links.size == 0 or (int(links.min()) >= 0 and int(links.max()) < rows))
