"""Tests of blocked distances, of the groups that they join and of farthest-point order, against direct computations."""

from __future__ import annotations

import numpy as np
import pytest

from refldm_core.data import distances as module
from refldm_core.data.distances import BINS, DistanceGraph, block_distances, farthest_points, grow
from refldm_core.face.identity import Embeddings, normalize

LIMITS = (0.1, 0.4)


def faces(
    seed: int, people: int = 12, faces_per_person: int = 5, spread: float = 0.4, dimensions: int = 16
) -> Embeddings:
    random = np.random.default_rng(seed)
    centers = normalize(random.standard_normal((people, dimensions)))
    noise = spread / dimensions**0.5 * random.standard_normal((people * faces_per_person, dimensions))
    return normalize(np.repeat(centers, faces_per_person, axis=0) + noise)[
        random.permutation(people * faces_per_person)
    ]


def direct(embeddings: Embeddings) -> np.ndarray:
    exact = embeddings.astype(np.float64)
    return np.array([[1.0 - sum(a * b) for b in exact] for a in exact])


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def linked_groups(near: np.ndarray) -> set[frozenset[int]]:
    """Return the groups that links join, found by following the links from face to face."""
    unvisited, groups = set(range(len(near))), set()
    while unvisited:
        group, pending = set(), [min(unvisited)]
        while pending:
            face = pending.pop()
            if face not in group:
                group.add(face)
                pending += np.flatnonzero(near[face]).tolist()
        unvisited -= group
        groups.add(frozenset(group))
    return groups


def last(embeddings: Embeddings, block: int, graph: DistanceGraph | None = None) -> DistanceGraph:
    return list(grow(graph or DistanceGraph.empty(LIMITS), embeddings, block))[-1]


def test_blocks_equal_a_direct_computation() -> None:
    embeddings = faces(0)
    np.testing.assert_allclose(block_distances(embeddings, embeddings), direct(embeddings).clip(0, 2), atol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 16, 60, 1000])
def test_the_graph_is_that_of_all_pairs_for_every_block_size(block: int) -> None:
    embeddings = faces(1)
    exact = direct(embeddings)
    graph = last(embeddings, block)
    assert graph.rows == len(embeddings)
    for limit, forest in zip(LIMITS, graph.forests, strict=True):
        assert partition(graph.groups(limit)) == linked_groups(exact < limit)
        assert len(forest) < len(embeddings)
    pairs = exact[np.triu_indices(len(exact), k=1)]
    assert graph.histogram.sum() == len(pairs)
    expected = np.histogram(pairs, BINS, (0.0, 2.0))[0]
    assert np.abs(graph.histogram - expected).sum() <= 4, "single precision moves only a few pairs to the next bin"
    assert 1 < len(partition(graph.groups(0.4))) < len(partition(graph.groups(0.1))) < len(embeddings), "not trivial"


def test_new_faces_are_compared_without_comparing_earlier_ones_again(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = faces(2)
    complete = last(embeddings, 8)
    first = last(embeddings[:37], 8)
    compared = 0

    def counted(a: Embeddings, b: Embeddings) -> np.ndarray:
        nonlocal compared
        compared += len(a) * len(b)
        return block_distances(a, b)

    monkeypatch.setattr(module, "block_distances", counted)
    grown = last(embeddings, 8, first)
    assert compared < 60 * 60 - 37 * 37
    assert (grown.histogram == complete.histogram).all()
    for limit in LIMITS:
        assert partition(grown.groups(limit)) == partition(complete.groups(limit))
    assert list(grow(grown, embeddings, 8)) == []


def test_many_links_are_reduced_while_growing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of one person, every face is linked to every other face."""
    embeddings = faces(3, people=1, faces_per_person=80, spread=0.1)
    monkeypatch.setattr(module, "_MAX_PENDING", 100)
    graph = last(embeddings, 16)
    assert set(graph.groups(0.4).tolist()) == {0}
    assert len(graph.forests[1]) == 79


def test_no_faces_give_an_empty_graph() -> None:
    graph = DistanceGraph.empty(LIMITS)
    assert list(grow(graph, np.zeros((0, 4), np.float32))) == []
    assert graph.groups(0.4).shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_farthest_points_equal_brute_force(seed: int) -> None:
    embeddings = faces(seed, people=1, faces_per_person=12, spread=1.0)
    exact = direct(embeddings)
    order: list[int] = []
    while len(order) < 9:
        gaps = {i: min(exact[i, j] for j in [0, *order]) for i in range(1, 12) if i not in order}
        order.append(max(gaps, key=lambda i: gaps[i]))
    assert [i + 1 for i in farthest_points(embeddings[0], embeddings[1:], 9)] == order
    complete = farthest_points(embeddings[0], embeddings[1:], 99)
    assert sorted(complete) == list(range(11)) and [i + 1 for i in complete[:9]] == order


def test_equal_faces_are_chosen_in_their_order() -> None:
    same = np.repeat(faces(0)[:1], 4, axis=0)
    assert farthest_points(same[0], same[1:], 5) == [0, 1, 2]
    assert farthest_points(same[0], same[:0], 5) == []


def test_the_benchmark_draws_as_many_people_as_ffhq_has() -> None:
    from benchmarks.dataset.benchmark import measure

    measured = measure(900, 512, 200)
    assert measured["pictures"] == pytest.approx(900 * 20_405 / 70_000, rel=0.05)
    assert measured["pictures"] / measured["people"] == pytest.approx(3.1, rel=0.2)
    assert measured["peak"] >= measured["made"] >= measured["before"] > 0
