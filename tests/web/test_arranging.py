"""Layouts keep the drawn order and have no overlaps."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from .arranging import GAP, GROUP_GAP, Box, arrange, spread

_SIDES = st.integers(20, 400)
_PLACES = st.integers(0, 2000)
_BOXES = st.lists(st.tuples(_PLACES, _PLACES, _SIDES, _SIDES), min_size=1, max_size=12)


def overlap(a: Box, b: Box, gap: float = 0.0) -> bool:
    return a.left < b.right + gap and b.left < a.right + gap and a.top < b.bottom + gap and b.top < a.bottom + gap


@given(_BOXES, st.data())
def test_boxes_lie_apart_with_their_new_sizes(places: list[tuple[int, int, int, int]], data: st.DataObject) -> None:
    boxes = {i: Box(*place) for i, place in enumerate(places)}
    sizes = {i: (float(data.draw(_SIDES)), float(data.draw(_SIDES))) for i in boxes}
    placed = {i: Box(*corner, *sizes[i]) for i, corner in spread(boxes, sizes, GAP).items()}
    assert not any(overlap(a, b, GAP - 1.0) for a, b in combinations(placed.values(), 2))
    assert min(box.left for box in placed.values()) == min(box.top for box in placed.values()) == 0.0
    for a, b in combinations(boxes, 2):
        if boxes[a].right <= boxes[b].left:
            assert placed[a].right < placed[b].left


def test_a_taller_node_moves_those_below_it() -> None:
    boxes = {"upper": Box(0, 0, 100, 50), "lower": Box(0, 60, 100, 50), "right": Box(200, 0, 100, 50)}
    sizes = {"upper": (100.0, 300.0), "lower": (100.0, 50.0), "right": (100.0, 50.0)}
    assert spread(boxes, sizes, 10.0) == {"upper": (0.0, 0.0), "lower": (0.0, 310.0), "right": (110.0, 0.0)}


def test_rows_stay_rows() -> None:
    boxes = {"a": Box(0, 0, 50, 50), "b": Box(100, 0, 50, 50), "c": Box(0, 100, 50, 50), "d": Box(100, 110, 50, 50)}
    sizes = dict.fromkeys("acd", (50.0, 50.0)) | {"b": (50.0, 400.0)}
    tops = {key: top for key, (_, top) in spread(boxes, sizes, 10.0).items()}
    assert tops == {"a": 0.0, "b": 0.0, "c": 410.0, "d": 410.0}


def test_groups_hold_their_nodes_and_lie_apart() -> None:
    nodes = {1: Box(10, 10, 80, 80), 2: Box(210, 10, 80, 80), 3: Box(10, 120, 80, 20)}
    sizes = {1: (500.0, 80.0), 2: (80.0, 80.0), 3: (80.0, 400.0)}
    layout = arrange(nodes, sizes, [Box(0, 0, 100, 100), Box(200, 0, 100, 100)])
    left, right = layout.groups
    assert right.left == left.right + GROUP_GAP
    for number, group in ((1, left), (3, left), (2, right)):
        box = Box(*layout.nodes[number], *sizes[number])
        assert group.left < box.left and box.right < group.right
        assert group.top < box.top and box.bottom < group.bottom
