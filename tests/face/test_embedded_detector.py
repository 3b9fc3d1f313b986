"""The detector that comes along: sure of rendered faces, and of little else that lies on its side."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_detector
from refldm_core.face.detection import SearchingDetector
from refldm_core.face.findings import iou
from refldm_core.face.types import Face
from refldm_core.samples import albums, groups
from refldm_core.synthetic import Scene, person, scene
from tests.embedded import needs_embedded

pytestmark = needs_embedded

FIRST_PERSON = 960_000
"""Seed of people far from those that the detector was trained on."""


@pytest.fixture(scope="module")
def detector() -> SearchingDetector:
    return load_detector("embedded", embedded.FOLDER)


@lru_cache(maxsize=4)
def _scene(seed: int) -> Scene:
    rng = np.random.default_rng(5000 + seed)
    people = [person(FIRST_PERSON + int(rng.integers(30_000))) for _ in range(int(rng.integers(1, 4)))]
    return scene(people, 7000 + seed, 320, 320, layout="scattered")


def _hits(boxes: NDArray[np.float64], faces: list[Face]) -> int:
    detected = np.array([face.box for face in faces]).reshape(-1, 4)
    return sum(bool(len(faces)) and bool((iou(box, detected) > 0.35).any()) for box in boxes)


def test_rendered_faces_are_found_and_little_else(detector: SearchingDetector) -> None:
    scenes = [_scene(seed) for seed in (4, 7)]
    detected = [detector.detect(shown.picture) for shown in scenes]
    faces, hits = (
        sum(len(shown.boxes) for shown in scenes),
        sum(_hits(shown.boxes, faces) for shown, faces in zip(scenes, detected, strict=True)),
    )
    assert hits == faces
    assert sum(map(len, detected)) - hits <= 1, "four more before faces on their side had to be surer"


def test_the_sample_photos_show_whom_the_index_says(detector: SearchingDetector) -> None:
    """Every face of the groups, and the face of one photo of each person, to a tenth of the eye distance."""
    for sample in [*groups(), *(album[0] for album in albums().values())]:
        points = np.array([face.landmarks.points for face in detector.detect(sample.picture())])
        for truth in sample.landmarks:
            eyes = np.linalg.norm(truth[1] - truth[0])
            assert len(points) and np.linalg.norm(points - truth, axis=-1).mean(axis=-1).min() < 0.1 * eyes, sample.file


def test_people_who_lie_on_their_side_are_still_found(detector: SearchingDetector) -> None:
    shown = _scene(7)
    left, top, right, bottom = shown.boxes.T
    last = shown.picture.shape[1] - 1
    turned = np.stack([top, last - right, bottom, last - left], axis=1)
    assert _hits(turned, detector.detect(np.ascontiguousarray(np.rot90(shown.picture)))) == len(turned)


def test_the_space_shuttle_is_no_face(detector: SearchingDetector) -> None:
    """Of scikit-image's astronaut the shuttle behind her was taken for a face, and she was not the surest one."""
    for face in detector.detect(data.astronaut()):
        across, down = np.abs(face.landmarks.points[1] - face.landmarks.points[0])
        assert across > down, "lies on its side"
        assert 150 < face.center[0] < 290 and 40 < face.center[1] < 200, "the astronaut's head"
