"""Where people stand in a group photo."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import SettingsError

Layout = Literal["rows", "scattered"]

LEAST_FACE = 20.0
"""Least height of a face in pixels, from forehead to chin."""
FACE_UNITS = 2.45
"""Height of a face from forehead to chin, in units of the distance between the eyes."""

_LARGEST_FACE = 200.0
"""Greatest height of a face in pixels."""


@dataclass(frozen=True)
class Place:
    """Where a person stands.

    Attributes:
        x, y: the point between the eyes, in pixels.
        scale: average distance between the eyes, in pixels.
    """

    x: float
    y: float
    scale: float


def places(count: int, width: int, height: int, rng: np.random.Generator, layout: Layout) -> list[Place]:
    """Choose places.

    Args:
        count: number of people.
        width, height: size of the picture in pixels.
        rng: random generator for the choice.
        layout: "rows" places people side by side, in two or more rows if that makes them larger; "scattered" places
            faces of 20 to 200 pixels anywhere, such that nobody covers the face of another person.

    Returns:
        A place for each person.

    Raises:
        SettingsError: there is no room for faces of 20 pixels.
    """
    return _LAYOUTS[layout](count, width, height, rng)


def _rows(count: int, width: int, height: int, rng: np.random.Generator) -> list[Place]:
    """Place people in rows. The back rows are higher and smaller, and stand in the gaps of the row before them."""
    if count == 0:
        return []
    rows = max(range(1, count + 1), key=lambda r: _row_scale(count, r, width, height))
    scale = _row_scale(count, rows, width, height)
    if 0.8**rows * scale * FACE_UNITS < LEAST_FACE:
        raise _no_room(count, width, height)
    step = width / _columns(count, rows)
    top = max(0.0, 0.4 * (height - (2.0 + 2.7 * rows) * scale))
    chosen: list[Place] = []
    for row, members in enumerate(np.array_split(np.arange(count), rows)):
        stagger = 0.25 * step * (-1) ** row if rows > 1 and count % rows == 0 else 0.0
        for i in range(len(members)):
            size = rng.uniform(0.8, 1.0) * 0.8 ** (rows - 1 - row) * scale
            x = 0.5 * width + (i - 0.5 * (len(members) - 1)) * step + stagger + rng.uniform(-0.1, 0.1) * scale
            y = top + (2.0 + 2.7 * row) * scale + rng.uniform(-0.15, 0.15) * scale
            chosen.append(Place(x, y, size))
    return chosen


def _row_scale(count: int, rows: int, width: int, height: int) -> float:
    """Return the pixels between the eyes of a person in the front row."""
    return min(width / (_columns(count, rows) * 3.0), height / (1.9 + 2.7 * rows), _LARGEST_FACE / FACE_UNITS)


def _columns(count: int, rows: int) -> float:
    """Return the number of places across. Rows of equal length need half a place more, to stand in the gaps."""
    return math.ceil(count / rows) + (0.5 if rows > 1 and count % rows == 0 else 0.0)


def _scattered(count: int, width: int, height: int, rng: np.random.Generator) -> list[Place]:
    """Scatter people. Sizes are uniform on a logarithmic scale; large faces are placed first."""
    largest = min(_LARGEST_FACE, 0.7 * min(width, height))
    while largest >= LEAST_FACE:
        sizes = np.exp(rng.uniform(math.log(LEAST_FACE), math.log(largest), count))
        chosen: list[Place] = []
        for size in np.sort(sizes)[::-1]:
            place = _free_place(float(size) / FACE_UNITS, chosen, width, height, rng)
            if place is None:
                break
            chosen.append(place)
        if len(chosen) == count:
            return [chosen[i] for i in rng.permutation(count)]
        largest *= 0.85
    raise _no_room(count, width, height)


def _free_place(scale: float, occupied: list[Place], width: int, height: int, rng: np.random.Generator) -> Place | None:
    """Draw a place where nobody hides the face; None if no attempt found one."""
    for _ in range(60):
        x = rng.uniform(1.3 * scale, max(1.3 * scale, width - 1.3 * scale))
        y = rng.uniform(1.2 * scale, max(1.2 * scale, height - 1.8 * scale))
        place = Place(x, y, scale)
        if not any(_hides(neighbor, place) for neighbor in occupied):
            return place
    return None


def _hides(near: Place, far: Place) -> bool:
    """Return whether the head or the body of the near person covers a part of the far person's face."""
    reach = 1.3 * far.scale
    beside = abs(far.x - near.x) - reach
    below = near.y - far.y - 1.9 * far.scale
    on_head = beside < 1.8 * near.scale and below < 2.1 * near.scale
    return (on_head and far.y - near.y - 1.2 * far.scale < 3.1 * near.scale) or (
        beside < 2.3 * near.scale and far.y + 1.9 * far.scale > near.y + 1.5 * near.scale
    )


def _no_room(count: int, width: int, height: int) -> SettingsError:
    return SettingsError(
        f"A picture of {width}x{height} pixels has no room for {count} faces.",
        expected=f"faces of at least {LEAST_FACE:.0f} pixels",
        remedy="choose a larger picture or fewer people",
    )


_LAYOUTS: dict[Layout, Callable[[int, int, int, np.random.Generator], list[Place]]] = {
    "rows": _rows,
    "scattered": _scattered,
}
