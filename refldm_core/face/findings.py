"""Findings of a detection network: checked, joined, and one for each face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import NotFiniteError

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""

_NESTED = 0.8


class Findings(NamedTuple):
    """What a network finds in one picture.

    Attributes:
        boxes: (n, 4) left, top, right, bottom in pixels.
        scores: (n,) 0..1.
        landmarks: (n, 5, 2) in the order of `Landmarks5`.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    landmarks: NDArray[np.float64]


def require_finite(findings: Findings) -> Findings:
    """Check what a network found.

    Raises:
        NotFiniteError: NaN or infinity among the numbers.
    """
    if not all(np.isfinite(values).all() for values in findings):
        raise NotFiniteError(
            "The face detector gave values that are not finite (NaN or infinity).",
            expected="boxes, scores and landmarks of finite numbers",
            remedy="get the detector's file again, run it on the CPU, or choose another detector",
        )
    return findings


def join(found: Sequence[Findings]) -> Findings:
    """All findings in one; none where there are none."""
    empty = Findings(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
    parts = [empty, *found]
    return Findings(
        np.concatenate([p.boxes for p in parts]),
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.landmarks for p in parts]),
    )


def suppress(findings: Findings, overlap: float) -> Findings:
    """Keep the most confident of findings of one face (greedy non-maximum suppression), best first.

    Of one face are boxes whose intersection over union is above `overlap`, and boxes of which one lies in the other and
    has at least a quarter of its area: what two scales make of a face.
    """
    order = np.argsort(-findings.scores, kind="stable")
    kept: list[int] = []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        box, others = findings.boxes[first], findings.boxes[rest]
        own, areas, common = _area(box[None]), _area(others), _common(box, others)
        smaller, larger = np.minimum(own, areas), np.maximum(own, areas)
        nested = (common > _NESTED * smaller) & (larger < 4.0 * smaller)
        order = rest[(iou(box, others) <= overlap) & ~nested]
    return Findings(findings.boxes[kept], findings.scores[kept], findings.landmarks[kept])


def iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box (4,) with others (n, 4)."""
    common = _common(box, boxes)
    return common / np.maximum(_area(box[None]) + _area(boxes) - common, 1e-9)


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)


def _common(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    return np.prod(np.maximum(high - low, 0.0), axis=1)
