"""Score a face detector on pictures whose faces are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from refldm_core.data.degradation import RANGES, degrade, draw
from refldm_core.face.alignment import mean_crop
from refldm_core.face.detection import Detector
from refldm_core.face.findings import Picture, iou
from refldm_core.synthetic import person, scene

SCENE_SIZE, MOST_FACES = 640, 4
FIRST_PERSON = 940_000
"""Start of the range of the scenes' people. No network was trained on them."""

_PEOPLE = 20_000
_SEED = 9_000
_OVERLAP = 0.35
"""Least intersection over union of a true box and the box of the detected face."""


@dataclass(frozen=True, eq=False)
class KnownFaces:
    """A picture and its faces.

    Attributes:
        picture: (height, width, 3) uint8.
        boxes: (n, 4) left, top, right, bottom in pixels.
        landmarks: (n, 5, 2) in pixels.
    """

    picture: Picture
    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float64]

    def degraded(self, seed: int) -> KnownFaces:
        """Return the picture with severe damage, which is as strong as for an aligned crop of the mean face."""
        crop = mean_crop((self.picture.shape[0], self.picture.shape[1]), self.landmarks)
        damaged = degrade(self.picture, draw(RANGES["severe"], seed), crop=crop)
        return KnownFaces(damaged, self.boxes, self.landmarks)


@dataclass
class DetectionScores:
    """Counts over many pictures.

    Attributes:
        faces: number of true faces.
        found: number of true faces that were found.
        false: number of detected faces that are none of the true ones.
        errors: for each face that was found, the mean error of its landmarks in eye distances.
    """

    faces: int = 0
    found: int = 0
    false: int = 0
    errors: list[float] = field(default_factory=list[float])

    def add(self, known: KnownFaces, detector: Detector) -> None:
        """Search a picture, and count what is found."""
        detected = detector.detect(known.picture)
        boxes = np.array([face.box for face in detected]).reshape(-1, 4)
        matched: set[int] = set()
        for box, points in zip(known.boxes, known.landmarks, strict=True):
            overlaps = iou(box, boxes) if len(boxes) else np.zeros(0)
            best = int(np.argmax(overlaps)) if len(overlaps) else -1
            if best < 0 or overlaps[best] < _OVERLAP or best in matched:
                continue
            matched.add(best)
            error = np.linalg.norm(detected[best].landmarks.points - points, axis=1).mean()
            self.errors.append(float(error / np.linalg.norm(points[1] - points[0])))
        self.faces += len(known.boxes)
        self.found += len(matched)
        self.false += len(detected) - len(matched)

    @property
    def recall(self) -> float:
        """Share of the true faces that were found."""
        return self.found / max(self.faces, 1)

    @property
    def landmark_error(self) -> float:
        """Median error of the landmarks in eye distances; NaN where no face was found."""
        return float(np.median(self.errors)) if self.errors else float("nan")


def unseen_scenes(count: int) -> Iterator[KnownFaces]:
    """Render scenes with 1 to `MOST_FACES` people whom no network was trained on."""
    for number in range(count):
        rng = np.random.default_rng([_SEED, number])
        people = [
            person(FIRST_PERSON + int(rng.integers(_PEOPLE))) for _ in range(int(rng.integers(1, MOST_FACES + 1)))
        ]
        rendered = scene(people, _SEED + number, SCENE_SIZE, SCENE_SIZE, layout="scattered")
        yield KnownFaces(rendered.picture, rendered.boxes, rendered.landmarks)


def score_detector(pictures: Iterable[KnownFaces], detector: Detector) -> tuple[DetectionScores, DetectionScores]:
    """Return the scores on the pictures as they are, and on the pictures with severe damage."""
    undamaged, damaged = DetectionScores(), DetectionScores()
    for number, known in enumerate(pictures):
        undamaged.add(known, detector)
        damaged.add(known.degraded(number), detector)
    return undamaged, damaged
