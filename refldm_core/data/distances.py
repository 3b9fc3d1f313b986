"""Who resembles whom among many faces: cosine distances block by block, the groups they join, and varied references.

A distance is 1 - cos of two ArcFace embeddings, 0..2. Faces nearer than a limit are linked, and a person is what links
join, directly or through others (ReF-LDM, the section on FFHQ-Ref: limit 0.4). All pairs of 70,000 faces would be
2.4 thousand million numbers: they are computed in blocks, and of the links only a spanning forest is kept, which joins
the same faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..face.identity import Embeddings, cosine
from .graphs import connected_components

BLOCK = 2048
"""Faces along a side of a block: 16 MB of distances."""

BINS = 200
"""Of the histogram, each 0.01 wide."""

_MAX_DISTANCE = 2.0
_MAX_PENDING = 2_000_000
"""Links that are gathered before they are reduced to a forest: 32 MB."""

Links = NDArray[np.int64]
"""(m, 2): pairs of faces, by index."""


@dataclass(frozen=True, eq=False)
class DistanceGraph:
    """What is known of the distances among the first faces of a list.

    Attributes:
        rows: how many faces were compared, each with every other of them.
        limits: distances; for each there is a forest.
        forests: at most `rows` - 1 links for each limit, which join the same faces as all pairs below the limit.
        histogram: (BINS,) number of pairs by distance, 0..2.
    """

    rows: int
    limits: tuple[float, ...]
    forests: tuple[Links, ...]
    histogram: NDArray[np.int64]

    @staticmethod
    def empty(limits: tuple[float, ...]) -> DistanceGraph:
        """The graph of no face."""
        return DistanceGraph(0, limits, (np.zeros((0, 2), np.int64),) * len(limits), np.zeros(BINS, np.int64))

    def groups(self, limit: float) -> NDArray[np.int64]:
        """(rows,) a number for each face; the faces that links below one of `limits` join have the same."""
        return connected_components(self.forests[self.limits.index(limit)], self.rows)


def grow(graph: DistanceGraph, embeddings: Embeddings, block: int = BLOCK) -> Iterator[DistanceGraph]:
    """Compare further faces with those before them and among each other.

    Args:
        graph: of the first `graph.rows` faces; they are not compared with each other again.
        embeddings: (n, d) of unit length, the same first ones included.
        block: faces along a side of a block.

    Yields:
        The graph after each `block` faces, complete for those; each can be kept, and gone on from.
    """
    for start in range(graph.rows, len(embeddings), block):
        graph = _with_block(graph, embeddings, start, min(start + block, len(embeddings)), block)
        yield graph


def block_distances(a: Embeddings, b: Embeddings) -> NDArray[np.float32]:
    """(n, d) and (m, d) of unit length -> (n, m) distances in 0..2, single precision."""
    products: NDArray[np.float32] = np.matmul(a, np.transpose(b))
    np.subtract(1.0, products, out=products)
    np.maximum(products, 0.0, out=products)
    return np.minimum(products, _MAX_DISTANCE, out=products)


def distances_to(embeddings: Embeddings, one: Embeddings) -> NDArray[np.float64]:
    """(n, d) and (d,) of unit length -> (n,) distances in 0..2."""
    return 1.0 - cosine(embeddings, one[None])[:, 0]


def farthest_points(start: Embeddings, others: Embeddings, count: int) -> list[int]:
    """Farthest-point order: each next face is the one whose nearest among all before it is farthest away.

    Args:
        start: (d,) the face that counts as being there already, of unit length.
        others: (n, d) to choose from.
        count: how many at most.

    Returns:
        Indices of `others`; of equally far ones the first.
    """
    gaps = distances_to(others, start)
    chosen: list[int] = []
    while len(chosen) < min(count, len(others)):
        chosen.append(int(np.argmax(gaps)))
        gaps = np.minimum(gaps, distances_to(others, others[chosen[-1]]))
        gaps[chosen] = -1.0
    return chosen


def _with_block(graph: DistanceGraph, embeddings: Embeddings, start: int, stop: int, block: int) -> DistanceGraph:
    """The graph with faces `start` to `stop` compared with all before them and among each other."""
    histogram = np.array(graph.histogram, dtype=np.int64)
    forests = [_Forest(links, stop) for links in graph.forests]
    new = embeddings[start:stop]
    for left in (*range(0, start, block), start):
        right = min(left + block, start) if left < start else stop
        distances = block_distances(new, embeddings[left:right])
        if left == start:  # each pair once
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
    counts[BINS - 1] += counts[BINS]  # a distance of 2
    return counts[:BINS]


class _Forest:
    """Links gathered in bounded memory: now and then they are replaced by a forest that joins the same faces."""

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
        """At most `count` - 1 links: from every face to the first of its group."""
        if len(self._parts) > 1:
            labels = connected_components(np.concatenate(self._parts), self._count)
            _, first = np.unique(labels, return_index=True)
            root = first[labels]
            others = np.flatnonzero(root != np.arange(self._count))
            self._parts = [np.column_stack([others, root[others]]).astype(np.int64)]
            self._pending = 0
        return self._parts[0]
