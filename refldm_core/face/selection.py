"""Selection and order of detected faces."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from ..errors import SettingsError, shorten
from .errors import FaceError
from .types import Face, Faces

Order = Literal["largest", "middle", "left to right", "top to bottom", "confidence"]
WhenEmpty = Literal["error", "pass"]

MOST_FACES = 10_000
"""A number of faces that no picture reaches. Ranges of positions end here, so that huge ranges need no memory."""
_MAX_LENGTH = 1000  # characters of a list of positions
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
    """Select faces in every picture of a batch independently.

    Args:
        faces: Faces of the batch.
        order: "largest" sorts by the area of the box in the picture, regardless of the crop's size. "middle" sorts by
            the distance from the middle of the picture. "confidence" sorts from high to low.
        indices: Positions in this order, from 0, in each picture. None for all faces.
        count: Maximum number of faces in each picture, applied after `indices`. None for all faces.
        min_size: Minimum size in pixels of the picture. Smaller faces are ignored and have no position.
        min_score: Minimum confidence. Faces with a lower confidence are ignored and have no position.
        when_empty: Treatment of an empty selection, and of positions that no picture has: "error" raises an error,
            "pass" continues without these faces. An empty selection never means all faces.

    Returns:
        The selected faces of the first picture, then those of the next pictures.

    Raises:
        FaceError: With "error": the selection is empty, or `indices` has a position that no picture has.
        SettingsError: The order does not exist, the count is below 1, or a position is negative.
    """
    if (count is not None and count < 1) or any(i < 0 for i in indices or ()):
        raise SettingsError(
            f"A count of {count} and positions {list(indices or ())} have no meaning.",
            expected="a count of 1 or more, positions from 0",
            remedy="leave the count empty for all faces",
        )
    selection: list[int] = []
    max_faces = 0
    for frame, size in enumerate(faces.image_sizes):
        candidates = [i for i in faces.in_frame(frame) if _is_eligible(faces.faces[i], min_size, min_score)]
        ordered = sorted(candidates, key=lambda i: _sort_key(order, size)(faces.faces[i]))
        max_faces = max(max_faces, len(ordered))
        selected = ordered if indices is None else [ordered[i] for i in indices if i < len(ordered)]
        selection += selected[:count]
    absent = [i for i in indices or () if i >= max_faces]
    if when_empty == "error" and (absent or not selection):
        raise FaceError(
            f"There is no face number {absent[0]}: {max_faces} were found."
            if absent
            else _empty_message(faces, min_size, min_score),
            expected="at least one face that fits the selection",
            remedy="lower the threshold or the minimum size, choose another face, or let pictures without a face pass",
        )
    return faces.select(selection)


def parse_indices(text: str) -> list[int] | None:
    """Parse typed positions: "0, 2-4" gives [0, 2, 3, 4], and "all" gives None.

    Positions above `MOST_FACES` are replaced by it.

    Raises:
        SettingsError: The text has another form, is empty, or has more than 1000 characters.
    """
    if text.strip().lower() == "all":
        return None
    positions: list[int] = []
    for part in [text] if len(text) > _MAX_LENGTH else text.split(","):
        match = _RANGE.fullmatch(part) if len(part) <= _MAX_LENGTH else None
        if match is None:
            raise SettingsError(
                f"{shorten(text)} is not a list of faces.",
                expected='numbers from 0 and ranges, such as "0, 2-4", or "all"',
                remedy='correct the list, or write "all" for every face',
            )
        low, high = sorted((int(match[1]), int(match[2] or match[1])))
        positions += range(min(low, MOST_FACES), min(high, MOST_FACES) + 1)
    return list(dict.fromkeys(positions))


def _is_eligible(face: Face, min_size: float, min_score: float) -> bool:
    return face.size >= min_size and face.score >= min_score


def _sort_key(order: Order, size: tuple[int, int]) -> Callable[[Face], float]:
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


def _empty_message(faces: Faces, min_size: float, min_score: float) -> str:
    if not len(faces):
        return f"No face was found in {len(faces.image_sizes)} picture{'s' if len(faces.image_sizes) != 1 else ''}."
    return f"None of {len(faces)} faces is at least {min_size:g} pixels large and {min_score:g} confident."
