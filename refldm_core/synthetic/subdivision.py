"""Catmull-Clark subdivision as a sparse matrix, so that refining any shape of one mesh is a single product."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scipy_functions import reshaped, sparse

Quads = NDArray[np.int64]
"""(n, 4) indices of vertices, counter-clockwise as seen from outside."""


def refine(quads: Quads, count: int) -> tuple[Any, Quads]:
    """Take one Catmull-Clark step. An open border becomes a cubic B-spline.

    Args:
        quads: (n, 4) quads of the coarse mesh.
        count: number of vertices of the coarse mesh. Vertices that no quad uses stay where they are.

    Returns:
        The matrix (fine vertices, coarse vertices), CSR, and the fine quads. Fine vertices are the moved coarse ones,
        then one for each edge, then one for each quad.
    """
    faces = len(quads)
    edges, edge_of, uses = _edges(quads)
    identity = sparse.identity(count, format="csr")
    corner_face = np.repeat(np.arange(faces), 4)
    face_points = _matrix(np.full(4 * faces, 0.25), corner_face, quads.ravel(), (faces, count))
    ends = np.repeat(np.arange(len(edges)), 2)
    midpoints = _matrix(np.full(2 * len(edges), 0.5), ends, edges.ravel(), (len(edges), count))
    face_sum = _matrix(np.ones(4 * faces), edge_of, corner_face, (len(edges), faces))
    border = (uses == 1).astype(np.float64)
    inner_edges = 0.5 * midpoints + sparse.diags(0.5 / uses) @ face_sum @ face_points
    edge_points = sparse.diags(border) @ midpoints + sparse.diags(1.0 - border) @ inner_edges

    valence = np.maximum(np.bincount(quads.ravel(), minlength=count), 1).astype(np.float64)
    vertex_faces = _matrix(np.ones(4 * faces), quads.ravel(), corner_face, (count, faces))
    vertex_edges = _matrix(np.ones(2 * len(edges)), edges.ravel(), ends, (count, len(edges)))
    degree = np.maximum(np.asarray(vertex_edges.sum(1)).ravel(), 1.0)
    inner = (
        sparse.diags(1.0 / valence**2) @ vertex_faces @ face_points
        + sparse.diags(2.0 / (valence * degree)) @ vertex_edges @ midpoints
        + sparse.diags((valence - 3.0) / valence) @ identity
    )
    border_degree = np.maximum(np.asarray((vertex_edges @ sparse.diags(border)).sum(1)).ravel(), 1.0)
    outer = 0.5 * identity + sparse.diags(0.5 / border_degree) @ vertex_edges @ sparse.diags(border) @ midpoints
    on_border = np.zeros(count)
    on_border[edges[uses == 1].ravel()] = 1.0
    moved = sparse.diags(1.0 - on_border) @ inner + sparse.diags(on_border) @ outer
    used = (np.bincount(quads.ravel(), minlength=count) > 0).astype(np.float64)
    moved = sparse.diags(used) @ moved + sparse.diags(1.0 - used) @ identity

    edge_index = reshaped(edge_of, faces, 4) + count
    center = np.arange(faces) + count + len(edges)
    corners = [np.stack([quads[:, i], edge_index[:, i], center, edge_index[:, i - 1]], -1) for i in range(4)]
    return sparse.vstack([moved, edge_points, face_points]).tocsr(), reshaped(np.stack(corners, 1), -1, 4)


def refined(quads: Quads, count: int, levels: int) -> tuple[Any, Quads]:
    """Take several Catmull-Clark steps.

    Returns:
        The matrix (vertices of the fine mesh, `count`), CSR, and the fine quads.
    """
    used = np.unique(quads)
    index_in_mesh = np.full(count, -1)
    index_in_mesh[used] = np.arange(len(used))
    matrix: Any = _matrix(np.ones(len(used)), np.arange(len(used)), used, (len(used), count))
    fine = index_in_mesh[quads]
    for _ in range(levels):
        step, fine = refine(fine, matrix.shape[0])
        matrix = (step @ matrix).tocsr()
    return matrix.astype(np.float32), fine


def _edges(quads: Quads) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find the edges of a mesh.

    Returns:
        Undirected edges (n, 2), the edge that starts at each corner of a quad (4 quads,), and the number of quads that
        share each edge (n,).
    """
    pairs = np.sort(reshaped(np.stack([quads, np.roll(quads, -1, 1)], -1), -1, 2), axis=1)
    edges, edge_of, uses = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    return edges, edge_of.ravel(), uses.astype(np.float64)


def _matrix(values: NDArray[np.float64], rows: Any, columns: Any, shape: tuple[int, int]) -> Any:
    return sparse.csr_matrix((values, (rows, columns)), shape)
