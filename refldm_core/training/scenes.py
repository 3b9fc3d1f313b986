"""Drawn scenes that a face detector learns from: groups, close-ups, and pictures without an upright face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data.corpus import CorpusSpec
from ..data.degradation import DegradationRanges, degrade, draw
from ..data.synthetic import Scene, group, person
from .task import derive

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""

_DEGRADED = DegradationRanges((0.0, 7.0), (1.0, 8.0), (0.0, 15.0), (40, 100))
"""Of half of the scenes: a face of 80 pixels in a scene of 320 can then just be told to be one."""

_GROUPS, _CLOSE, _TURNED = 0.7, 0.87, 0.95
"""Shares, summed up, of groups, of close-ups, and of groups turned by quarter turns; the rest has nobody in it."""


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """A square picture and the upright faces in it.

    Attributes:
        picture: (size, size, 3) uint8 RGB.
        landmarks: (n, 5, 2) in pixels.
        boxes: (n, 4) left, top, right, bottom in pixels.
    """

    picture: Picture
    landmarks: NDArray[np.float64]
    boxes: NDArray[np.float64]


def training_scene(corpus: CorpusSpec, size: int, most_faces: int, scenes: int, seed: int) -> TrainingScene:
    """One scene.

    Args:
        corpus: whose people are in it.
        size: pixels along each side.
        most_faces: in it.
        scenes: how many different ones there are before they are degraded; 0 is no limit.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    drawn = derive(corpus.first_person, int(rng.integers(scenes))) if scenes else int(rng.integers(2**62))
    scene = _drawn(corpus.first_person, corpus.people, size, most_faces, drawn)
    if rng.random() < 0.5:
        return replace(scene, picture=degrade(scene.picture, draw(_DEGRADED, int(rng.integers(2**62)))))
    return scene


@lru_cache(maxsize=1024)  # 300 kilobytes each
def _drawn(first: int, people: int, size: int, most_faces: int, seed: int) -> TrainingScene:
    """A scene as it is drawn."""
    rng = np.random.default_rng(seed)
    kind = rng.random()
    count = 0 if kind >= _TURNED else 1 if _GROUPS <= kind < _CLOSE else int(rng.integers(1, most_faces + 1))
    somebody = [person(first + int(rng.integers(people))) for _ in range(count)]
    layout = "rows" if rng.random() < 0.3 else "scattered"
    scene = group(somebody, int(rng.integers(2**31)), size, size, layout=layout)
    if kind < _GROUPS:
        return TrainingScene(scene.picture, scene.landmarks, scene.boxes)
    if kind < _CLOSE:
        return _close_up(scene, rng)
    # The search asks about turned pictures too, and must not be sure of a face that lies on its side.
    return _without_faces(np.ascontiguousarray(np.rot90(scene.picture, int(rng.integers(1, 4)))))


def _close_up(scene: Scene, rng: np.random.Generator) -> TrainingScene:
    """The first face of a square scene fills most of the picture, or is far too near to be one for the detector."""
    size = scene.picture.shape[0]
    left, top, right, bottom = scene.boxes[0]
    too_near = rng.random() < 0.25
    face = float(bottom - top)
    side = min(float(size), face * (rng.uniform(0.25, 0.6) if too_near else rng.uniform(1.05, 2.4)))
    play = 0.5 * abs(side - face)
    corner = np.array([0.5 * (left + right), 0.5 * (top + bottom)]) + rng.uniform(-play, play, 2) - 0.5 * side
    x, y = np.minimum(np.maximum(corner, 0.0), size - side)
    part = (float(x), float(y), float(x) + side, float(y) + side)
    picture = np.array(Image.fromarray(scene.picture).resize((size, size), Image.Resampling.BICUBIC, box=part))
    if too_near:
        return _without_faces(picture)
    origin, factor = np.array([x, y]), size / side
    landmarks = (scene.landmarks[:1] + 0.5 - origin) * factor - 0.5
    boxes = (scene.boxes[:1] + 0.5 - np.tile(origin, 2)) * factor - 0.5
    return TrainingScene(picture, landmarks, boxes)


def _without_faces(picture: Picture) -> TrainingScene:
    return TrainingScene(picture, np.zeros((0, 5, 2)), np.zeros((0, 4)))
