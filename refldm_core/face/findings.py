"""Findings of a detection network: checks, concatenation and non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import NotFiniteError

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""

_NESTED = 0.8  # share of the smaller box that lies in the larger one


class Findings(NamedTuple):
    """Faces that a network finds in one picture.

    Attributes:
        boxes: (n, 4) left, top, right, bottom in pixels.
        scores: (n,) confidences, 0..1.
        landmarks: (n, 5, 2) pixels in the order of `Landmarks5`.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    landmarks: NDArray[np.float64]


def require_finite(findings: Findings) -> Findings:
    """Return the findings if all numbers are finite.

    Raises:
        NotFiniteError: The findings contain NaN or infinity.
    """
    if not all(np.isfinite(values).all() for values in findings):
        raise NotFiniteError(
            "The face detector gave values that are not finite (NaN or infinity).",
            expected="boxes, scores and landmarks of finite numbers",
            remedy="get the detector's file again, run it on the CPU, or choose another detector",
        )
    return findings


def join(parts: Sequence[Findings]) -> Findings:
    """Concatenate findings. An empty sequence gives empty findings."""
    empty = Findings(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
    parts = [empty, *parts]
    return Findings(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )


def suppress(findings: Findings, overlap: float) -> Findings:
    """Reduce the findings of each face to the most confident one (greedy non-maximum suppression).

    Two boxes belong to one face if their intersection over union is above `overlap`. They also do if one box lies in
    the other and has more than a quarter of its area, as boxes of one face from two scales may.

    Returns:
        One finding for each face, in order of falling confidence.
    """
    order = np.argsort(-findings.scores, kind="stable")
    selected: list[int] = []
    while order.size:
        first, rest = order[0], order[1:]
        selected.append(int(first))
        box, boxes = findings.boxes[first], findings.boxes[rest]
        area, areas, intersections = _areas(box[None]), _areas(boxes), _intersections(box, boxes)
        smaller, larger = np.minimum(area, areas), np.maximum(area, areas)
        nested = (intersections > _NESTED * smaller) & (larger < 4.0 * smaller)
        order = rest[(iou(box, boxes) <= overlap) & ~nested]
    return Findings(findings.boxes[selected], findings.scores[selected], findings.landmarks[selected])


def is_covered(findings: Findings, others: Findings, overlap: float) -> NDArray[np.bool_]:
    """Whether each finding overlaps a more confident one by an intersection over union above `overlap`: (n,)."""
    return np.array(
        [
            bool(((iou(box, others.boxes) > overlap) & (others.scores > score)).any())
            for box, score in zip(findings.boxes, findings.scores, strict=True)
        ],
        dtype=np.bool_,
    )


def iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of one box (4,) with each of several boxes (n, 4): (n,)."""
    intersections = _intersections(box, boxes)
    return intersections / np.maximum(_areas(box[None]) + _areas(boxes) - intersections, 1e-9)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)


def _intersections(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    return np.prod(np.maximum(high - low, 0.0), axis=1)
