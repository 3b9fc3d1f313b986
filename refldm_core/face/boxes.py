"""Faces that are known by their boxes: those of ComfyUI's own detection nodes, or drawn by hand.

A box of the host is a dict with "x", "y", "width" and "height" in pixels, and perhaps "label" and "score". There pixel
i covers [i, i + 1]; in the convention of `types` it covers [i - 0.5, i + 0.5].
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..errors import SettingsError, shortened
from .alignment import FACE_BOX, FFHQ_TEMPLATE
from .errors import FaceError
from .findings import iou
from .matching import assign
from .types import Face, Faces, Landmarks5

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels."""

_LEAST_OVERLAP = 0.1  # intersection over union; a detected face that is smaller is an error inside a box of a face
_LABEL = "face"
_NUMBER = r"\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*"
_ADDED = re.compile(rf"\s*(\d{{1,9}})\s*:{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}")


@dataclass(frozen=True)
class BoundingBox:
    """A box from a detector of anything, or from the user.

    Attributes:
        box: in pixels of the picture.
        frame: index of the picture in its batch.
        score: confidence, 0..1; None where the source has none.
        label: what the box holds; None where the source does not say.
    """

    box: Box
    frame: int = 0
    score: float | None = None
    label: str | None = None

    @property
    def is_face(self) -> bool:
        """Whether the box bounds a face: without a label it does, with one the label must say so."""
        return self.label is None or _LABEL in self.label.lower()


def parse_boxes(value: Any, image_sizes: Sequence[tuple[int, int]]) -> list[BoundingBox]:
    """Read the host's boxes, in every layout that its nodes use.

    Args:
        value: a list with one list of boxes for each picture, or with a single list for all pictures; a list of boxes
            for all pictures; or one box for all pictures.
        image_sizes: (height, width) of every picture.

    Returns:
        The boxes picture by picture, in their order.

    Raises:
        FaceError: a box without the four numbers or without an area, or a box whose middle is outside the picture.
        SettingsError: the lists belong to another number of pictures.
    """
    lists = _lists_of(value)
    if len(lists) == 1:
        lists *= len(image_sizes)
    if len(lists) != len(image_sizes):
        raise SettingsError(
            f"There are boxes of {len(lists)} pictures for {len(image_sizes)} pictures.",
            expected="the pictures in which the boxes were found",
            remedy="connect the same pictures to both nodes",
        )
    return [
        _parse_box(box, frame, size)
        for frame, (boxes, size) in enumerate(zip(lists, image_sizes, strict=True))
        for box in boxes
    ]


def parse_added_boxes(text: str) -> list[tuple[int, dict[str, float]]]:
    """Boxes typed in or drawn by hand: "0: 120,80,60,70; 2: 5,5,40,40" (picture: x, y, width, height).

    Returns:
        The number of each box's picture, from 0, and the box as the host's nodes give it; for `added_boxes`.

    Raises:
        SettingsError: another form.
    """
    boxes: list[tuple[int, dict[str, float]]] = []
    for part in re.split(r"[;\n]", text):
        if not part.strip():
            continue
        match = _ADDED.fullmatch(part)
        if match is None:
            raise SettingsError(
                f"{shortened(part.strip())} is no box of a face.",
                expected='the number of a picture, a colon, and x, y, width and height, such as "0: 120,80,60,70"',
                remedy="correct the text, or leave it empty; separate several boxes by semicolons",
            )
        x, y, width, height = (float(number) for number in match.groups()[1:])
        boxes.append((int(match[1]), {"x": x, "y": y, "width": width, "height": height}))
    return boxes


def added_boxes(text: str, image_sizes: Sequence[tuple[int, int]]) -> list[BoundingBox]:
    """The boxes of `parse_added_boxes`, checked against the pictures.

    Args:
        text: see `parse_added_boxes`, also for its errors.
        image_sizes: (height, width) of every picture.

    Raises:
        FaceError: a box without an area, or one whose middle is outside the picture.
        SettingsError: a picture that there is not.
    """
    boxes = parse_added_boxes(text)
    absent = [picture for picture, _ in boxes if picture >= len(image_sizes)]
    if absent:
        raise SettingsError(
            f"There is no picture number {absent[0]} to add a face to.",
            expected=f"a number from 0 to {len(image_sizes) - 1}",
            remedy="correct the number before the colon, or remove this box",
        )
    return [_parse_box(box, picture, image_sizes[picture]) for picture, box in boxes]


def with_added_faces(faces: Sequence[Face], boxes: Sequence[BoundingBox]) -> list[Face]:
    """The faces and those that boxes add, picture by picture.

    A box around one of the faces moves that face's box and adds none; see `faces_from_boxes`.
    """
    added = faces_from_boxes(boxes, faces)
    # `faces_from_boxes` gives a face inside a box the landmarks object of the detected face.
    moved = {id(face.landmarks) for face in added}
    return sorted([*(face for face in faces if id(face.landmarks) not in moved), *added], key=lambda face: face.frame)


def host_boxes(faces: Faces) -> list[list[dict[str, float | str]]]:
    """The faces' boxes as ComfyUI's detection nodes give them: one list of dicts for each picture."""
    return [[_to_host(faces.faces[i]) for i in faces.in_frame(frame)] for frame in range(len(faces.image_sizes))]


def face_from_box(box: Box, *, score: float = 1.0, frame: int = 0) -> Face:
    """A face that is known by its box alone.

    Its landmarks are those of an upright average face: as large as fits into the box, and in the middle of it.
    `alignment.face_from_landmarks` is the inverse.

    Args:
        box: in pixels of the picture, with an area.
        score: confidence, 0..1.
        frame: index of the picture in its batch.
    """
    low, high = np.array(FACE_BOX[:2]), np.array(FACE_BOX[2:])
    left, top, right, bottom = box
    scale = float(np.min((right - left, bottom - top) / (high - low)))
    middle = np.array([(left + right) / 2.0, (top + bottom) / 2.0])
    return Face(box, score, Landmarks5(middle + scale * (FFHQ_TEMPLATE - (low + high) / 2.0)), frame)


def faces_from_boxes(boxes: Sequence[BoundingBox], detected: Sequence[Face] | None = None) -> list[Face]:
    """The faces that the boxes name.

    A box of a face takes its landmarks from the detected face that overlaps it most, and those of an average face
    where none was detected in it. A box of anything else ("person") says only where to look: the face is the detected
    one, and without one there is none. Each detected face belongs to one box at most.

    Args:
        boxes: of all pictures.
        detected: what a face detector found in the same pictures; None where no detector was used.

    Returns:
        The faces picture by picture, in the order of their boxes.

    Raises:
        FaceError: there is a box of something else than a face, and no detector was used.
    """
    labels = [box.label for box in boxes if not box.is_face]
    if labels and detected is None:
        raise FaceError(
            f'A box is labeled "{labels[0]}" and does not say where the face is.',
            expected=f'boxes of faces: labeled "{_LABEL}", or without a label',
            remedy="connect a face detector too, which finds the faces inside the boxes, or take boxes of faces alone",
        )
    faces: list[Face] = []
    for frame in sorted({box.frame for box in boxes}):
        rows = [box for box in boxes if box.frame == frame]
        columns = [face for face in detected or () if face.frame == frame]
        overlaps = np.array([[_overlap(box, face) for face in columns] for box in rows])
        pairs = dict(assign(np.reshape(overlaps, (len(rows), len(columns))), 1e-9))
        matched = [_face_of(box, columns[pairs[i]] if i in pairs else None) for i, box in enumerate(rows)]
        faces += [face for face in matched if face is not None]
    return faces


def _lists_of(value: Any) -> list[list[Any]]:
    if isinstance(value, Mapping):
        return [[value]]
    if not isinstance(value, (list, tuple)):
        raise FaceError(
            f"A {type(value).__name__} holds no boxes.",
            expected="a box, or lists of boxes",
            remedy="connect the output bboxes of a detection node",
        )
    items = list(cast("Sequence[Any]", value))
    if items and all(isinstance(item, (list, tuple)) for item in items):
        return [list(item) for item in items]
    return [items]


def _parse_box(box: Any, frame: int, size: tuple[int, int]) -> BoundingBox:
    try:
        x, y, width, height = (float(box[key]) for key in ("x", "y", "width", "height"))
        score = None if box.get("score") is None else float(box["score"])
    except (AttributeError, KeyError, TypeError, ValueError):
        x = y = width = height = math.nan
        score = None
    if not (math.isfinite(x + y) and 0.0 < width < math.inf and 0.0 < height < math.inf):
        raise FaceError(
            f"A box of picture {frame + 1} has no place or no area: {shortened(str(box))}.",
            expected="x, y, width and height in pixels, with a width and a height above 0",
            remedy="remove this box, or connect another detection node",
        )
    if not (0.0 <= x + width / 2.0 <= size[1] and 0.0 <= y + height / 2.0 <= size[0]):
        raise FaceError(
            f"A box of picture {frame + 1}, {width:g}x{height:g} at {x:g}, {y:g}, lies outside that picture of "
            f"{size[1]}x{size[0]} pixels.",
            expected="boxes in pixels of the picture that is connected here",
            remedy="give the node that makes the boxes the same picture, or the size of that picture",
        )
    label = box.get("label")
    left, top = x - 0.5, y - 0.5
    return BoundingBox((left, top, left + width, top + height), frame, score, None if label is None else str(label))


def _to_host(face: Face) -> dict[str, float | str]:
    left, top, _, _ = face.box
    place = {"x": left + 0.5, "y": top + 0.5, "width": face.width, "height": face.height}
    return {**place, "label": _LABEL, "score": face.score}


def _overlap(box: BoundingBox, face: Face) -> float:
    """Intersection over union, 0 for a face that is not the one in the box."""
    (x, y), (left, top, right, bottom) = face.center, box.box
    overlap = float(iou(np.asarray(box.box), np.asarray([face.box]))[0])
    fits = overlap >= _LEAST_OVERLAP or not box.is_face
    return overlap if fits and left <= x <= right and top <= y <= bottom else 0.0


def _face_of(box: BoundingBox, detected: Face | None) -> Face | None:
    if not box.is_face:
        return detected
    if detected is None:
        return face_from_box(box.box, score=1.0 if box.score is None else box.score, frame=box.frame)
    return replace(detected, box=box.box, score=detected.score if box.score is None else box.score)
