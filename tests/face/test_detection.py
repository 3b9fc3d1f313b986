"""Search over scales, tiles and turns, with insightface's SCRFD and a weight file that finds toy faces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from refldm_core.errors import SettingsError
from refldm_core.face.alignment import crop_transform
from refldm_core.face.backends import ScrfdNetwork
from refldm_core.face.detection import DetectionSettings, SearchingDetector, detect_batch
from refldm_core.face.findings import Findings, iou, suppress
from refldm_core.face.template import template
from refldm_core.face.tiling import scales
from refldm_core.face.types import transform_points
from tests.face.toys import LOOKS, draw_face, save_scrfd


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "det_10g.onnx"
    save_scrfd(path)
    return ScrfdNetwork(path, tile=320)


def gray(height, width):
    return np.full((height, width, 3), 127, dtype=np.uint8)


def turned_looks(turn):
    """Return the toy face's landmarks after counter-clockwise quarter turns (y points down)."""
    angle = -turn * np.pi / 2
    return np.array(LOOKS) @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@pytest.mark.parametrize(
    ("size", "picture"), [(24, (300, 400)), (60, (500, 700)), (600, (900, 1100)), (1080, (1600, 1800))]
)
def test_tiny_and_huge_faces_are_found_at_their_positions(network, size, picture):
    image = gray(*picture)
    center = (picture[1] * 0.55, picture[0] * 0.5)
    draw_face(image, center, size)
    (face,) = SearchingDetector(network, DetectionSettings(0.35, turns=(0,))).detect(image)
    np.testing.assert_allclose(face.center, center, atol=0.15 * size)
    assert 0.6 < face.size / size < 1.7


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_turned_faces_are_found_with_landmarks_turned_back(network, turn):
    image = gray(300, 420)
    draw_face(image, (250, 120), 60, turn)
    (face,) = SearchingDetector(network, DetectionSettings(0.4, turns=(0, 1, 2, 3))).detect(image)
    np.testing.assert_allclose(face.center, (250, 120), atol=8)
    looks = (face.landmarks.points - np.array(face.center)) / face.size
    np.testing.assert_allclose(looks, turned_looks(turn), atol=0.02)


def test_a_turned_face_is_not_found_without_its_turn(network):
    image = gray(300, 420)
    draw_face(image, (250, 120), 60, 1)
    assert SearchingDetector(network, DetectionSettings(0.4, turns=(0,))).detect(image) == []


class StricterWhenTurned:
    """A network with another threshold for turned pictures."""

    def __init__(self, network, turned_threshold):
        self.network, self.turned_threshold = network, turned_threshold

    def __getattr__(self, name):
        return getattr(self.network, name)


def test_turned_pictures_use_their_own_threshold_unless_settings_have_one(network):
    image = gray(300, 420)
    draw_face(image, (250, 120), 60, 1)
    (face,) = SearchingDetector(network).detect(image)
    assert SearchingDetector(StricterWhenTurned(network, face.score - 0.01)).detect(image)
    assert not SearchingDetector(StricterWhenTurned(network, face.score + 0.05)).detect(image)
    draw_face(image, (100, 120), 60)
    assert len(SearchingDetector(StricterWhenTurned(network, 1.0)).detect(image)) == 1, "only the upright face"
    assert len(SearchingDetector(StricterWhenTurned(network, 1.0), DetectionSettings(0.4)).detect(image)) == 2, (
        "own threshold"
    )


def test_each_face_of_a_crowd_is_found_once_across_tiles_scales_and_turns(network):
    image = gray(1000, 1500)
    centers = [(130 + 120 * i, 110 + 130 * j) for i in range(11) for j in range(7)]
    for i, center in enumerate(centers):
        draw_face(image, center, 44 + i % 3 * 4)
    faces = SearchingDetector(network, DetectionSettings(0.4, smallest=40)).detect(image)
    assert len(faces) == len(centers)
    distances = np.linalg.norm(np.array([f.center for f in faces])[:, None] - np.array(centers)[None], axis=-1)
    assert distances.min(axis=0).max() < 10
    assert [f.score for f in faces] == sorted((f.score for f in faces), reverse=True)


def test_the_box_of_a_face_at_the_border_may_extend_beyond_the_picture(network):
    image = gray(300, 400)
    draw_face(image, (392, 150), 60)
    (face,) = SearchingDetector(network, DetectionSettings(0.3, turns=(0,))).detect(image)
    assert face.box[2] > 400
    np.testing.assert_allclose(face.center, (392, 150), atol=12)


def test_detection_of_a_batch_numbers_the_pictures_and_can_be_stopped(network):
    images = [gray(200, 300), gray(240, 200)]
    for image in images:
        draw_face(image, (100, 90), 60)
    tensors = [torch.as_tensor(i).movedim(-1, 0).float() / 127.5 - 1 for i in (*images, gray(90, 80))]
    detector = SearchingDetector(network, DetectionSettings(turns=(0,)))
    progress = []
    faces = detect_batch(tensors, detector, lambda done, total: progress.append((done, total)))
    assert [face.frame for face in faces] == [0, 1]
    assert progress == [(1, 3), (2, 3), (3, 3)]

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detect_batch(tensors, detector, stop)


class _CoarseNetwork:
    """A network that misplaces the landmarks of a whole picture, and places those of an aligned crop at FFHQ's."""

    tile, threshold, turned_threshold, metadata = 320, 0.5, 0.5, {}

    def __init__(self, *, second_look: bool, confidence: float) -> None:
        self.second_look, self._confidence = second_look, confidence

    def find(self, picture, threshold):
        if picture.shape[:2] == (96, 120):  # the finest scale of the search below
            return Findings(np.array([[40.0, 32, 72, 72]]), np.array([0.9]), COARSE[None])
        if not self._confidence or picture.shape[0] != picture.shape[1]:
            return Findings(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
        side = len(picture)
        inner, corner = np.array([0.25, 0.3, 0.75, 0.85]) * side, np.array([0.0, 0.0, 0.1, 0.1]) * side
        points = template(side) + np.array([3.0, 0.0])
        return Findings(
            np.stack([corner, inner]), np.array([0.95, self._confidence]), np.stack([points - 50.0, points])
        )


COARSE = np.array([[48.0, 44], [64, 45], [56, 54], [50, 62], [63, 62]])


def test_the_second_look_takes_the_landmarks_of_the_face_in_the_middle_of_the_crop():
    """Another face in the corner of the crop is more confident."""
    image, settings = gray(240, 300), DetectionSettings(turns=(0,), smallest=100.0, search="exhaustive")
    first, second = (
        SearchingDetector(_CoarseNetwork(second_look=look, confidence=0.75), settings).detect(image)[0]
        for look in (False, True)
    )
    assert second.box == first.box and second.score == first.score
    transform = crop_transform(first.landmarks, image.shape[:2], 512)
    shift = np.array([1.5 * (512 / 192 + 512 / 224), 0.0])  # 3 pixels in crops of two sizes
    points = transform_points(transform.image_from_crop, template(512) + shift)
    np.testing.assert_allclose(second.landmarks.points, points, atol=1e-6)


@pytest.mark.parametrize(("confidence", "threshold", "confirmed"), [(0.6, None, 0), (0.6, 0.5, 1), (0.0, 0.2, 0)])
def test_the_second_look_drops_what_it_does_not_confirm(confidence, threshold, confirmed):
    """A lower threshold of the user counts in the second look too. A confidence of 0 stands for no finding."""
    network = _CoarseNetwork(second_look=True, confidence=confidence)
    detector = SearchingDetector(network, DetectionSettings(threshold, turns=(0,), smallest=100.0, search="exhaustive"))
    assert len(detector.detect(gray(240, 300))) == confirmed


def test_a_picture_without_a_face_gives_an_empty_list(network):
    assert SearchingDetector(network, DetectionSettings(0.5)).detect(gray(200, 300)) == []
    assert SearchingDetector(network, DetectionSettings(0.5)).detect(gray(20, 9)) == []


@pytest.mark.parametrize(
    ("size", "tile"), [((480, 640), 640), ((3000, 4000), 640), ((3000, 4000), 1280), ((64, 48), 640)]
)
def test_scales_cover_the_smallest_face_and_the_whole_picture(size, tile):
    searched = scales(size, tile, 24)
    assert searched == sorted(searched, reverse=True)
    assert searched[0] * 24 == pytest.approx(40)
    assert searched[-2] * max(size) <= tile + 1e-9
    assert all(fine / coarse <= 4 * 1.1 for fine, coarse in pairwise(searched))


def test_the_default_smallest_face_grows_with_large_pictures():
    assert scales((1500, 2000), 640, None)[0] == pytest.approx(40 / 24)
    assert scales((6000, 8192), 640, None)[0] == pytest.approx(40 / 96)


def test_suppression_keeps_the_most_confident_of_overlapping_boxes():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [30, 0, 40, 10]], dtype=float)
    remaining = suppress(Findings(boxes, np.array([0.5, 0.9, 0.7]), np.zeros((3, 5, 2))), 0.4)
    assert remaining.scores.tolist() == [0.9, 0.7]
    np.testing.assert_allclose(iou(boxes[0], boxes), [1, 81 / 119, 0])


@pytest.mark.parametrize(
    "bad",
    [
        {"threshold": 0.0},
        {"turns": ()},
        {"smallest": 2.0},
        {"smallest": float("nan")},
        {"smallest": float("inf")},
        {"overlap": 1.5},
    ],
)
def test_invalid_settings_are_refused(bad):
    with pytest.raises(SettingsError):
        DetectionSettings(**bad)
