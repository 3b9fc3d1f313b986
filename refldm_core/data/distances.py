"""Cosine distances among many faces, the groups of faces that small distances join, and varied references.

A distance is 1 - cos of two ArcFace embeddings, 0..2. Two faces are linked where their distance is below a limit. A
person is a group of faces that links join, directly or through others (ReF-LDM, section on FFHQ-Ref: limit 0.4).

70,000 faces have 2.4 billion pairs. The distances are therefore computed block by block, and only a spanning forest of
the links is stored, which joins the same faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..face.identity import Embeddings, cosine
from .graphs import connected_components

BLOCK = 2048
"""Number of faces along a side of a block. The distances of a block take 16 MB."""

BINS = 200
"""Number of bins of the histogram. Each is 0.01 wide."""

_MAX_DISTANCE = 2.0
_MAX_PENDING = 2_000_000
"""Most links that are gathered before they are reduced to a forest: 32 MB."""

Links = NDArray[np.int64]
"""(m, 2) pairs of faces, by index."""


@dataclass(frozen=True, eq=False)
class DistanceGraph:
    """The distances among the first faces of a list, summarized.

    Attributes:
        rows: number of faces that were compared with each other.
        limits: distances below which faces are linked.
        forests: a forest for each limit: at most `rows` - 1 links that join the same faces as all pairs below the
            limit.
        histogram: (BINS,) number of pairs in each bin of distance, 0..2.
    """

    rows: int
    limits: tuple[float, ...]
    forests: tuple[Links, ...]
    histogram: NDArray[np.int64]

    @staticmethod
    def empty(limits: tuple[float, ...]) -> DistanceGraph:
        """Return the graph of no faces."""
        return DistanceGraph(0, limits, (np.zeros((0, 2), np.int64),) * len(limits), np.zeros(BINS, np.int64))

    def groups(self, limit: float) -> NDArray[np.int64]:
        """Return (rows,) a number for each face. Faces that links below `limit` join have the same number.

        Args:
            limit: one of `limits`.
        """
        return connected_components(self.forests[self.limits.index(limit)], self.rows)


def grow(graph: DistanceGraph, embeddings: Embeddings, block: int = BLOCK) -> Iterator[DistanceGraph]:
    """Compare new faces with the faces before them and with each other.

    Args:
        graph: graph of the first `graph.rows` faces, which are not compared with each other again.
        embeddings: (n, d) of unit length: those first faces, then the new ones.
        block: number of faces along a side of a block.

    Yields:
        The graph after every `block` new faces. It is complete for the faces so far, so that a later call can continue
        from it.
    """
    for start in range(graph.rows, len(embeddings), block):
        graph = _with_block(graph, embeddings, start, min(start + block, len(embeddings)), block)
        yield graph


def block_distances(a: Embeddings, b: Embeddings) -> NDArray[np.float32]:
    """Return the (n, m) float32 distances, 0..2, between (n, d) and (m, d) embeddings of unit length."""
    products: NDArray[np.float32] = np.matmul(a, np.transpose(b))
    np.subtract(1.0, products, out=products)
    np.maximum(products, 0.0, out=products)
    return np.minimum(products, _MAX_DISTANCE, out=products)


def distances_to(embeddings: Embeddings, face: Embeddings) -> NDArray[np.float64]:
    """Return the (n,) distances, 0..2, of (n, d) embeddings from one (d,) embedding, all of unit length."""
    return 1.0 - cosine(embeddings, face[None])[:, 0]


def farthest_points(start: Embeddings, candidates: Embeddings, count: int) -> list[int]:
    """Choose faces in farthest-point order.

    Each next face is the candidate whose distance to the nearest face before it is largest.

    Args:
        start: (d,) of unit length: the face that the order starts from; it is not part of the result.
        candidates: (n, d) of unit length.
        count: most faces to choose.

    Returns:
        Indices of the chosen candidates, in order. Of equally far candidates, the first is chosen.
    """
    gaps = distances_to(candidates, start)
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        chosen.append(int(np.argmax(gaps)))
        gaps = np.minimum(gaps, distances_to(candidates, candidates[chosen[-1]]))
        gaps[chosen] = -1.0
    return chosen


def _with_block(graph: DistanceGraph, embeddings: Embeddings, start: int, stop: int, block: int) -> DistanceGraph:
    """Return the graph after faces `start` to `stop` were compared with all faces before them and with each other."""
    histogram = np.array(graph.histogram, dtype=np.int64)
    forests = [_Forest(links, stop) for links in graph.forests]
    new = embeddings[start:stop]
    for left in (*range(0, start, block), start):
        right = min(left + block, start) if left < start else stop
        distances = block_distances(new, embeddings[left:right])
        if left == start:  # count each pair once
            lower = np.tri(stop - start, k=-1, dtype=np.bool_)
            histogram += _count(distances[lower])
            distances[~lower] = np.inf
        else:
            histogram += _count(distances)
        for forest, limit in zip(forests, graph.limits, strict=True):
            rows, columns = np.divmod(np.flatnonzero(distances < limit), right - left)
            forest.add(np.column_stack([rows + start, columns + left]))
    return replace(graph, rows=stop, forests=tuple(forest.links() for forest in forests), histogram=histogram)


def _count(distances: NDArray[np.float32]) -> NDArray[np.int64]:
    bins = (distances * np.float32(BINS / _MAX_DISTANCE)).astype(np.int16)
    counts = np.bincount(np.ravel(bins), minlength=BINS + 1).astype(np.int64)
    counts[BINS - 1] += counts[BINS]  # the last bin includes a distance of 2
    return counts[:BINS]


class _Forest:
    """Links in bounded memory. When they become many, a forest that joins the same faces replaces them."""

    def __init__(self, links: Links, count: int) -> None:
        self._count = count
        self._parts = [links]
        self._pending = 0

    def add(self, links: Links) -> None:
        if len(links):
            self._parts.append(links)
            self._pending += len(links)
        if self._pending > _MAX_PENDING:
            self._parts = [self.links()]

    def links(self) -> Links:
        """Return at most `count` - 1 links: from every face to the first face of its group."""
        if len(self._parts) > 1:
            labels = connected_components(np.concatenate(self._parts), self._count)
            _, first = np.unique(labels, return_index=True)
            root = first[labels]
            linked = np.flatnonzero(root != np.arange(self._count))
            self._parts = [np.column_stack([linked, root[linked]]).astype(np.int64)]
            self._pending = 0
        return self._parts[0]
