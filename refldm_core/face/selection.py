"""Which of the found faces to work on, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from ..errors import SettingsError, shortened
from .errors import FaceError
from .types import Face, Faces

Order = Literal["largest", "middle", "left to right", "top to bottom", "confidence"]
WhenEmpty = Literal["error", "pass"]

MOST_FACES = 10_000
"""More than any picture has: positions after this one are not listed one by one."""
_LONGEST = 1000  # characters of a list of positions
_RANGE = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?")


def select_faces(
    faces: Faces,
    *,
    order: Order = "largest",
    indices: Sequence[int] | None = None,
    count: int | None = None,
    min_size: float = 0.0,
    min_score: float = 0.0,
    when_empty: WhenEmpty = "error",
) -> Faces:
    """Choose faces in every picture of a batch, each picture for itself.

    Args:
        faces: found in the batch.
        order: "largest" by the box's area in the picture, however large the crop; "middle" nearest to the picture's
            middle first; "confidence" highest first.
        indices: positions in that order, from 0, in each picture; None for all.
        count: at most so many of each picture, after `indices`; None for all.
        min_size: pixels of the picture; smaller faces do not count, and get no position.
        min_score: less confident ones neither.
        when_empty: what becomes of a batch in which nothing is left, and of positions that no face has: "error", or
            "pass" for going on without. It never means all faces.

    Returns:
        The chosen faces, picture by picture.

    Raises:
        FaceError: nothing was left, or `indices` names a face that no picture has, with "error".
        SettingsError: an order that does not exist, or a negative number.
    """
    if (count is not None and count < 1) or any(i < 0 for i in indices or ()):
        raise SettingsError(
            f"A count of {count} and positions {list(indices or ())} have no meaning.",
            expected="a count of 1 or more, positions from 0",
            remedy="leave the count empty for all faces",
        )
    chosen: list[int] = []
    most = 0
    for frame, size in enumerate(faces.image_sizes):
        fit = [i for i in faces.in_frame(frame) if _fits(faces.faces[i], min_size, min_score)]
        ordered = sorted(fit, key=lambda i: _key(order, size)(faces.faces[i]))
        most = max(most, len(ordered))
        kept = ordered if indices is None else [ordered[i] for i in indices if i < len(ordered)]
        chosen += kept[:count]
    absent = [i for i in indices or () if i >= most]
    if when_empty == "error" and (absent or not chosen):
        raise FaceError(
            f"There is no face number {absent[0]}: {most} were found."
            if absent
            else _nothing(faces, min_size, min_score),
            expected="at least one face that fits the selection",
            remedy="lower the threshold or the least size, choose another face, or let pictures without a face pass",
        )
    return faces.select(chosen)


def parse_indices(text: str) -> list[int] | None:
    """Positions typed in: "0, 2-4" is [0, 2, 3, 4]; "all" is None. A range ends at `MOST_FACES` at the latest.

    Raises:
        SettingsError: anything else, also nothing or a very long text.
    """
    if text.strip().lower() == "all":
        return None
    positions: list[int] = []
    for part in [text] if len(text) > _LONGEST else text.split(","):
        match = _RANGE.fullmatch(part) if len(part) <= _LONGEST else None
        if match is None:
            raise SettingsError(
                f"{shortened(text)} is no list of faces.",
                expected='numbers from 0 and ranges, such as "0, 2-4", or "all"',
                remedy='write "all" for every face',
            )
        low, high = sorted((int(match[1]), int(match[2] or match[1])))
        positions += range(min(low, MOST_FACES), min(high, MOST_FACES) + 1)
    return list(dict.fromkeys(positions))


def _fits(face: Face, min_size: float, min_score: float) -> bool:
    return face.size >= min_size and face.score >= min_score


def _key(order: Order, size: tuple[int, int]) -> Callable[[Face], float]:
    height, width = size
    keys: dict[str, Callable[[Face], float]] = {
        "largest": lambda face: -face.width * face.height,
        "middle": lambda face: (face.center[0] - width / 2.0) ** 2 + (face.center[1] - height / 2.0) ** 2,
        "left to right": lambda face: face.center[0],
        "top to bottom": lambda face: face.center[1],
        "confidence": lambda face: -face.score,
    }
    if order not in keys:
        raise SettingsError(
            f'Faces cannot be ordered by "{order}".', expected=", ".join(keys), remedy="choose one of these orders"
        )
    return keys[order]


def _nothing(faces: Faces, min_size: float, min_score: float) -> str:
    if not len(faces):
        return f"No face was found in {len(faces.image_sizes)} picture{'s' if len(faces.image_sizes) != 1 else ''}."
    return f"None of {len(faces)} faces is at least {min_size:g} pixels large and {min_score:g} confident."
