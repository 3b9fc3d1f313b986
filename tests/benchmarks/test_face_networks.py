"""The benchmark of the face networks counts what is found, false and wrong, and ranks pairs of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.face_networks.detection import DetectionScores, KnownFaces, score_detector
from benchmarks.face_networks.mosaics import mosaic
from benchmarks.face_networks.recognition import score_recognizer
from refldm_core.face.findings import Picture
from refldm_core.face.types import Face, Landmarks5

POINTS = np.array([[40.0, 40], [60, 40], [50, 50], [42, 60], [58, 60]])
BOX = (30.0, 25.0, 70.0, 70.0)


class _FixedDetector:
    """A detector that finds the same faces in every picture."""

    def __init__(self, *faces: Face) -> None:
        self._faces = faces

    def detect(self, image: Picture) -> list[Face]:
        return list(self._faces)


def _two_faces() -> KnownFaces:
    picture = np.full((120, 200, 3), 128, np.uint8)
    boxes = np.array([BOX, [x + 100 if i % 2 == 0 else x for i, x in enumerate(BOX)]])
    return KnownFaces(picture, boxes, np.stack([POINTS, POINTS + np.array([100.0, 0.0])]))


def _face(shift: float, box_shift: float = 0.0) -> Face:
    left, top, right, bottom = BOX
    return Face((left + box_shift, top, right + box_shift, bottom), 0.9, Landmarks5(POINTS + np.array([shift, 0.0])))


def test_faces_count_as_found_missed_and_false() -> None:
    scores = DetectionScores()
    far_away = _face(60.0, box_shift=55.0)
    scores.add(_two_faces(), _FixedDetector(_face(2.0), far_away))
    assert (scores.faces, scores.found, scores.false) == (2, 1, 1)
    assert scores.recall == 0.5
    assert scores.landmark_error == pytest.approx(2 / 20), "an error of 2 pixels for eyes that are 20 pixels apart"


def test_one_finding_counts_for_one_face_only() -> None:
    two_faces = _two_faces()
    twice = KnownFaces(two_faces.picture, two_faces.boxes[[0, 0]], two_faces.landmarks[[0, 0]])
    scores = DetectionScores()
    scores.add(twice, _FixedDetector(_face(0.0)))
    assert (scores.found, scores.false) == (1, 0)


def test_without_faces_the_landmark_error_is_not_a_number() -> None:
    undamaged, damaged = score_detector([_two_faces()], _FixedDetector())
    assert undamaged.recall == damaged.recall == 0.0
    assert np.isnan(undamaged.landmark_error)


def test_severe_damage_depends_on_the_seed_alone() -> None:
    rng = np.random.default_rng(3)
    noisy = KnownFaces(rng.integers(0, 256, (120, 200, 3), dtype=np.uint8), _two_faces().boxes, _two_faces().landmarks)
    damaged = noisy.degraded(5).picture
    assert (damaged == noisy.degraded(5).picture).all() and (damaged != noisy.degraded(6).picture).any()
    assert (damaged != noisy.picture).any() and (noisy.degraded(5).boxes == noisy.boxes).all()


def test_recognizer_scores_rank_pairs() -> None:
    """Two pictures of Anna, two of Ben, one of Cem. One pair of Anna and Ben is more similar than Ben's own pair."""
    similarities = np.eye(5)
    for first, second, value in ((0, 1, 0.9), (2, 3, 0.4), (1, 2, 0.5), (3, 4, 0.1)):
        similarities[first, second] = similarities[second, first] = value
    scores = score_recognizer(similarities, ["anna", "anna", "ben", "ben", "cem"])
    assert (scores.pictures, scores.people) == (5, 3)
    assert scores.auc == pytest.approx(15 / 16), "of 2 x 8 comparisons, one is wrong"
    assert scores.same == pytest.approx(0.65) and scores.different == pytest.approx(0.6 / 8)
    assert scores.nearest == pytest.approx(3 / 4), "the nearest picture to Ben's first one is Anna's"


def test_faces_of_a_mosaic_keep_their_place_in_their_turned_scenes() -> None:
    """The picture is bright at the left eye and in the corner of the box."""
    picture = np.zeros((120, 120, 3), np.uint8)
    picture[40, 40], picture[25, 30] = 255, 128
    scene = KnownFaces(picture, np.array([[30.0, 25, 71, 66]]), POINTS[None])
    result = mosaic([scene, scene, scene], (0, 1, 3), 2)
    assert result.picture.shape == (240, 240, 3) and len(result.boxes) == 3
    for box, points in zip(result.boxes, result.landmarks, strict=True):
        x, y = points[0].astype(int)
        assert result.picture[y, x, 0] == 255
        left, top, right, bottom = box.astype(int)
        corners = [result.picture[j, i, 0] for j in (top, bottom) for i in (left, right)]
        assert corners.count(128) == 1
