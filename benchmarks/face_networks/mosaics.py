"""Larger pictures made of scenes, some of which lie on their side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refldm_core.face.findings import Findings
from refldm_core.face.tiling import turn_back

from .detection import KnownFaces

_GRAY = 90


def turned(scene: KnownFaces, turn: int) -> KnownFaces:
    """Return a picture after counter-clockwise quarter turns. The landmarks keep their order."""
    picture = np.ascontiguousarray(np.rot90(scene.picture, turn))
    # Turning a picture means turning its faces back from a picture with the opposite turn.
    findings = Findings(scene.boxes, np.ones(len(scene.boxes)), scene.landmarks)
    faces = turn_back(findings, -turn, picture.shape[:2])
    return KnownFaces(picture, faces.boxes, faces.landmarks)


def mosaic(scenes: Sequence[KnownFaces], turns: Sequence[int], columns: int) -> KnownFaces:
    """Put square scenes of one size side by side, each after its quarter turns."""
    side = len(scenes[0].picture)
    picture = np.full((-(-len(scenes) // columns) * side, columns * side, 3), _GRAY, np.uint8)
    boxes, landmarks = [np.zeros((0, 4))], [np.zeros((0, 5, 2))]
    for i, (scene, turn) in enumerate(zip(scenes, turns, strict=True)):
        part, (row, column) = turned(scene, turn), divmod(i, columns)
        left, top = column * side, row * side
        picture[top : top + side, left : left + side] = part.picture
        boxes.append(part.boxes + np.array([left, top, left, top]))
        landmarks.append(part.landmarks + np.array([left, top]))
    return KnownFaces(picture, np.concatenate(boxes), np.concatenate(landmarks))
