"""A layout of a graph without overlaps: the order of the boxes stays, and the gaps between them become even."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)
Position = tuple[float, float]

GAP = 40.0
"""Pixels between two nodes."""
GROUP_GAP = 40.0
"""Pixels between two groups."""
PADDING = 20.0
"""Pixels between a group's border and its nodes."""
GROUP_TITLE = 50.0
"""Pixels of a group's title."""


_ROW = 15.0  # pixels by which the tops in a row may differ


class Box(NamedTuple):
    """A rectangle in pixels of the graph."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def holds(self, other: Box) -> bool:
        """Return whether all of the other rectangle is in this one."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom

    def distance(self, other: Box) -> float:
        """Return the distance to the middle of another rectangle, 0 where that is inside."""
        x, y = other.left + other.width / 2.0, other.top + other.height / 2.0
        return math.hypot(max(self.left - x, 0.0, x - self.right), max(self.top - y, 0.0, y - self.bottom))


def spread(boxes: Mapping[Key, Box], sizes: Mapping[Key, tuple[float, float]], gap: float) -> dict[Key, Position]:
    """Return new positions of boxes, from (0, 0), at which they lie apart with their new sizes.

    A box that lies to the right of another one stays to its right. Of two boxes of which one lies above the other, the
    upper one stays above. Boxes side by side at the same height stay at the same height. The result is the tightest
    layout that keeps this order.

    Args:
        boxes: Rectangles as they were drawn.
        sizes: New (width, height) of each.
        gap: Least distance.
    """
    lefts: dict[Key, float] = {}
    for key in sorted(boxes, key=lambda item: boxes[item].left):
        before = [other for other in lefts if boxes[other].right <= boxes[key].left + 1.0]
        lefts[key] = max((lefts[other] + sizes[other][0] + gap for other in before), default=0.0)
    tops: dict[Key, float] = {}
    for row in _rows(boxes, lefts, sizes, gap):
        above = [
            tops[other] + sizes[other][1] + gap
            for key in row
            for other in tops
            if _share_columns((lefts[key], sizes[key][0]), (lefts[other], sizes[other][0]), gap)
        ]
        tops |= dict.fromkeys(row, max(above, default=0.0))
    return {key: (lefts[key], tops[key]) for key in boxes}


def _rows(
    boxes: Mapping[Key, Box], lefts: Mapping[Key, float], sizes: Mapping[Key, tuple[float, float]], gap: float
) -> list[list[Key]]:
    """Return boxes that were drawn at the same height and can stay there, from the top to the bottom."""
    rows: list[list[Key]] = []
    for key in sorted(boxes, key=lambda item: boxes[item].top):
        beside = rows and not any(
            _share_columns((lefts[key], sizes[key][0]), (lefts[other], sizes[other][0]), gap) for other in rows[-1]
        )
        if beside and boxes[key].top - boxes[rows[-1][0]].top < _ROW:
            rows[-1].append(key)
        else:
            rows.append([key])
    return rows


def _share_columns(a: tuple[float, float], b: tuple[float, float], gap: float) -> bool:
    """Return whether two intervals (left, width) come closer than the gap."""
    return a[0] < b[0] + b[1] + gap and b[0] < a[0] + a[1] + gap


class Layout(NamedTuple):
    """Where everything goes.

    Attributes:
        nodes: (left, top) of each node, its title included.
        groups: Rectangle of each group.
    """

    nodes: dict[int, Position]
    groups: list[Box]


def arrange(nodes: Mapping[int, Box], sizes: Mapping[int, tuple[float, float]], groups: Sequence[Box]) -> Layout:
    """Lay nodes out in their groups, and then the groups.

    Args:
        nodes: Rectangles as they were drawn, titles included.
        sizes: (width, height) that each node needs, its title included.
        groups: Rectangles as they were drawn, at least one. A node belongs to the group that its middle is in, or else
            to the nearest one. No group may be empty.
    """
    members: list[list[int]] = [[] for _ in groups]
    for number, box in nodes.items():
        members[min(range(len(groups)), key=lambda i: groups[i].distance(box))].append(number)
    inside = [spread({number: nodes[number] for number in numbers}, sizes, GAP) for numbers in members]
    needed = [
        (
            max(left + sizes[number][0] for number, (left, _) in places.items()) + 2.0 * PADDING,
            max(top + sizes[number][1] for number, (_, top) in places.items()) + GROUP_TITLE + PADDING,
        )
        for places in inside
    ]
    corners = spread(dict(enumerate(groups)), dict(enumerate(needed)), GROUP_GAP)
    return Layout(
        {
            number: (corners[i][0] + PADDING + left, corners[i][1] + GROUP_TITLE + top)
            for i, places in enumerate(inside)
            for number, (left, top) in places.items()
        },
        [Box(*corners[i], *needed[i]) for i in range(len(groups))],
    )
