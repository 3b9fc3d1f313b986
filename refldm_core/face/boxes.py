"""Faces from boxes: the boxes of ComfyUI's own detection nodes, and boxes drawn by hand.

A box of the host is a dict with "x", "y", "width" and "height" in pixels, and optionally "label" and "score". Pixel i
covers [i, i + 1] in the host's boxes, and [i - 0.5, i + 0.5] in the convention of `types`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..errors import SettingsError, shorten
from .alignment import FACE_BOX, FFHQ_TEMPLATE
from .errors import FaceError
from .findings import iou
from .matching import assign
from .types import Face, Faces, Landmarks5

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels."""

_MIN_OVERLAP = 0.1  # intersection over union; a detected face that fills less of a face's box is a false detection
_FACE_LABEL = "face"
_NUMBER = r"\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*"
_ADDED_BOX = re.compile(rf"\s*(\d{{1,9}})\s*:{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}")


@dataclass(frozen=True)
class BoundingBox:
    """A box from any kind of detector, or from the user.

    Attributes:
        box: Box in pixels of the picture.
        frame: Index of the picture in its batch.
        score: Confidence, 0..1. None where the source has none.
        label: What the box holds. None where the source has no labels.
    """

    box: Box
    frame: int = 0
    score: float | None = None
    label: str | None = None

    @property
    def is_face(self) -> bool:
        """Whether the box bounds a face. A box without a label does; otherwise the label must contain "face"."""
        return self.label is None or _FACE_LABEL in self.label.lower()


def parse_boxes(value: Any, image_sizes: Sequence[tuple[int, int]]) -> list[BoundingBox]:
    """Read the host's boxes, in every layout that its nodes use.

    Args:
        value: A list with one list of boxes for each picture, a list with a single list for all pictures, a list of
            boxes for all pictures, or one box for all pictures.
        image_sizes: (height, width) of every picture.

    Returns:
        The boxes of the first picture, then those of the next pictures, each in their order.

    Raises:
        FaceError: A box lacks one of the four numbers or has no area, or its middle is outside the picture.
        SettingsError: The number of lists differs from the number of pictures.
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
    """Parse boxes that were typed or drawn by hand: "0: 120,80,60,70; 2: 5,5,40,40" (picture: x, y, width, height).

    Returns:
        For each box the number of its picture, from 0, and the box in the form of the host's nodes.

    Raises:
        SettingsError: The text has another form.
    """
    boxes: list[tuple[int, dict[str, float]]] = []
    for part in re.split(r"[;\n]", text):
        if not part.strip():
            continue
        match = _ADDED_BOX.fullmatch(part)
        if match is None:
            raise SettingsError(
                f"{shorten(part.strip())} is not a box of a face.",
                expected='the number of a picture, a colon, and x, y, width and height, such as "0: 120,80,60,70"',
                remedy="correct the text, or leave it empty; separate boxes by semicolons",
            )
        x, y, width, height = (float(number) for number in match.groups()[1:])
        boxes.append((int(match[1]), {"x": x, "y": y, "width": width, "height": height}))
    return boxes


def added_boxes(text: str, image_sizes: Sequence[tuple[int, int]]) -> list[BoundingBox]:
    """Parse boxes with `parse_added_boxes`, and check them against the pictures.

    Args:
        text: See `parse_added_boxes`.
        image_sizes: (height, width) of every picture.

    Raises:
        FaceError: A box has no area, or its middle is outside the picture.
        SettingsError: The text has another form, or names a picture that does not exist.
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
    """Add the faces of boxes to detected faces, sorted by picture.

    A box around a detected face replaces the box of that face and adds no face (see `faces_from_boxes`).
    """
    added = faces_from_boxes(boxes, faces)
    # A face that `faces_from_boxes` made from a detected face has the same landmarks object.
    replaced = {id(face.landmarks) for face in added}
    remaining = [face for face in faces if id(face.landmarks) not in replaced]
    return sorted([*remaining, *added], key=lambda face: face.frame)


def host_boxes(faces: Faces) -> list[list[dict[str, float | str]]]:
    """Return the boxes of faces in the form of ComfyUI's detection nodes: one list of dicts for each picture."""
    return [[_to_host(faces.faces[i]) for i in faces.in_frame(frame)] for frame in range(len(faces.image_sizes))]


def face_from_box(box: Box, *, score: float = 1.0, frame: int = 0) -> Face:
    """Make a face from its box.

    The landmarks are those of an upright average face in the middle of the box, as large as the box allows.
    `alignment.face_from_landmarks` is the inverse.

    Args:
        box: Box in pixels of the picture, with an area above 0.
        score: Confidence, 0..1.
        frame: Index of the picture in its batch.
    """
    low, high = np.array(FACE_BOX[:2]), np.array(FACE_BOX[2:])
    left, top, right, bottom = box
    scale = float(np.min((right - left, bottom - top) / (high - low)))
    middle = np.array([(left + right) / 2.0, (top + bottom) / 2.0])
    return Face(box, score, Landmarks5(middle + scale * (FFHQ_TEMPLATE - (low + high) / 2.0)), frame)


def faces_from_boxes(boxes: Sequence[BoundingBox], detected: Sequence[Face] | None = None) -> list[Face]:
    """Make faces from boxes.

    A box of a face always gives a face. Its landmarks come from the detected face in the box, or from an average face
    if none was detected there. A box of anything else ("person") only limits the search: it gives the detected face in
    the box, if there is one. The assignment of detected faces to boxes has the largest sum of overlaps. Each detected
    face belongs to at most one box.

    Args:
        boxes: Boxes of all pictures.
        detected: Faces that a face detector found in the same pictures. None where no detector was used.

    Returns:
        The faces of the first picture, then those of the next pictures, each in the order of their boxes.

    Raises:
        FaceError: A box holds something other than a face, and no detector was used.
    """
    labels = [box.label for box in boxes if not box.is_face]
    if labels and detected is None:
        raise FaceError(
            f'A box is labeled "{labels[0]}" and does not say where the face is.',
            expected=f'boxes of faces: labeled "{_FACE_LABEL}", or without a label',
            remedy="connect a face detector too, which finds the faces inside the boxes, or use boxes of faces only",
        )
    faces: list[Face] = []
    for frame in sorted({box.frame for box in boxes}):
        frame_boxes = [box for box in boxes if box.frame == frame]
        frame_faces = [face for face in detected or () if face.frame == frame]
        overlaps = np.array([[_overlap(box, face) for face in frame_faces] for box in frame_boxes])
        pairs = dict(assign(np.reshape(overlaps, (len(frame_boxes), len(frame_faces))), 1e-9))
        matched = [_face_of(box, frame_faces[pairs[i]] if i in pairs else None) for i, box in enumerate(frame_boxes)]
        faces += [face for face in matched if face is not None]
    return faces


def _lists_of(value: Any) -> list[list[Any]]:
    if isinstance(value, Mapping):
        return [[value]]
    if not isinstance(value, (list, tuple)):
        raise FaceError(
            f"A value of type {type(value).__name__} holds no boxes.",
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
            f"A box of picture {frame + 1} has no position or no area: {shorten(str(box))}.",
            expected="x, y, width and height in pixels, with a width and a height above 0",
            remedy="remove this box, or connect another detection node",
        )
    if not (0.0 <= x + width / 2.0 <= size[1] and 0.0 <= y + height / 2.0 <= size[0]):
        raise FaceError(
            f"A box of picture {frame + 1}, {width:g}x{height:g} at {x:g}, {y:g}, lies outside that picture of "
            f"{size[1]}x{size[0]} pixels.",
            expected="boxes in pixels of the picture that is connected here",
            remedy="connect the same picture, or its size, to the node that makes the boxes",
        )
    label = box.get("label")
    left, top = x - 0.5, y - 0.5
    return BoundingBox((left, top, left + width, top + height), frame, score, None if label is None else str(label))


def _to_host(face: Face) -> dict[str, float | str]:
    left, top, _, _ = face.box
    geometry = {"x": left + 0.5, "y": top + 0.5, "width": face.width, "height": face.height}
    return {**geometry, "label": _FACE_LABEL, "score": face.score}


def _overlap(box: BoundingBox, face: Face) -> float:
    """Return the intersection over union, or 0 where the face cannot be the face in the box."""
    (x, y), (left, top, right, bottom) = face.center, box.box
    overlap = float(iou(np.asarray(box.box), np.asarray([face.box]))[0])
    fits = overlap >= _MIN_OVERLAP or not box.is_face
    return overlap if fits and left <= x <= right and top <= y <= bottom else 0.0


def _face_of(box: BoundingBox, detected: Face | None) -> Face | None:
    if not box.is_face:
        return detected
    if detected is None:
        return face_from_box(box.box, score=1.0 if box.score is None else box.score, frame=box.frame)
    return replace(detected, box=box.box, score=detected.score if box.score is None else box.score)
