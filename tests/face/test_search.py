"""The staged search finds what the exhaustive search finds, and looks at far fewer pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_detector
from refldm_core.errors import SettingsError
from refldm_core.face.backends import RetinaFaceNetwork, ScrfdNetwork
from refldm_core.face.batches import find_in_batches
from refldm_core.face.detection import DetectionSettings, SearchingDetector
from refldm_core.face.findings import Findings, Picture, iou, is_covered
from refldm_core.face.tiling import finest_scale, overview_scales, windows_around
from refldm_core.samples import albums, groups
from tests.embedded import needs_embedded
from tests.face.toys import draw_face, save_scrfd


@pytest.fixture(scope="module")
def toy(tmp_path_factory: Any) -> ScrfdNetwork:
    path = tmp_path_factory.mktemp("pack") / "det_10g.onnx"
    save_scrfd(path)
    return ScrfdNetwork(path, tile=320)


class Counting:
    """A network that counts the pixels that another one sees."""

    def __init__(self, network: Any) -> None:
        self.network, self.pixels = network, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def find(self, picture: Picture, threshold: float) -> Findings:
        self.pixels += picture.shape[0] * picture.shape[1]
        return self.network.find(picture, threshold)


def _gray(height: int, width: int) -> Picture:
    return np.full((height, width, 3), 127, dtype=np.uint8)


def _centers(detector: SearchingDetector, image: Picture) -> list[tuple[int, int]]:
    return sorted((round(face.center[0], -1), round(face.center[1], -1)) for face in detector.detect(image))


def test_small_and_turned_faces_are_found_beside_a_large_upright_one(toy: ScrfdNetwork) -> None:
    image = _gray(700, 1000)
    draw_face(image, (250, 300), 300)
    draw_face(image, (800, 100), 26)
    draw_face(image, (700, 500), 60, 1)
    draw_face(image, (900, 600), 28, 3)
    staged = SearchingDetector(toy, DetectionSettings(0.35))
    exhaustive = SearchingDetector(toy, DetectionSettings(0.35, search="exhaustive"))
    assert len(staged.detect(image)) == 4
    assert _centers(staged, image) == _centers(exhaustive, image)


def test_the_staged_search_sees_less_than_a_third_of_the_pixels(toy: ScrfdNetwork) -> None:
    image = _gray(1000, 1500)
    for x in (200, 600, 1100):
        draw_face(image, (x, 400), 30)
    pixels: dict[str, int] = {}
    for search in ("staged", "exhaustive"):
        network = Counting(toy)
        assert len(SearchingDetector(network, DetectionSettings(0.35, search=search)).detect(image)) == 3
        pixels[search] = network.pixels
    assert pixels["staged"] < pixels["exhaustive"] / 3


class Unsure:
    """A network that is sure of a face only where it is at least 36 pixels large."""

    tile, threshold, turned_threshold, second_look, metadata = 640, 0.8, 0.8, False, {}

    def __init__(self, *, unsure: float) -> None:
        self.unsure = unsure

    def find(self, picture: Picture, threshold: float) -> Findings:
        rows, columns = np.nonzero(picture[..., 0] > 200)
        size = np.sqrt(len(rows))
        score = 0.95 if size >= 36 else self.unsure
        if size < 5 or score <= threshold:
            return Findings(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5, 2)))
        box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], dtype=np.float64)
        points = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.3, 0.7], [0.7, 0.7]]) * size + box[0, :2]
        return Findings(box, np.array([score]), points[None])


@pytest.mark.parametrize(("unsure", "count"), [(0.1, 1), (0.05, 0)])
def test_a_face_of_which_the_overview_is_unsure_is_decided_at_the_finest_scale(unsure: float, count: int) -> None:
    """A candidate needs a tenth of the threshold."""
    image = np.zeros((900, 1200, 3), np.uint8)
    image[430:454, 700:724] = 255
    settings = DetectionSettings(turns=(0,))
    faces = SearchingDetector(Unsure(unsure=unsure), settings).detect(image)
    assert len(faces) == count
    for face in faces:
        assert face.score == 0.95
        np.testing.assert_allclose(face.box, (700, 430, 724, 454), atol=1.5)


def test_each_box_lies_in_a_window_inside_the_picture_with_space_around_it() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, [900, 600], (60, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 60, (60, 1))], axis=1)
    windows = np.array(windows_around(boxes, 150, (660, 960)))
    assert 10 < len(windows) < len(boxes), "a window serves several boxes"
    assert (windows >= 0).all() and (windows + 150 <= [960, 660]).all()
    for box in boxes:
        space = (box[2] - box[0]) / 2 - 1
        low, high = np.maximum(box[:2] - space, 0), np.minimum(box[2:] + space, [960, 660])
        assert ((windows <= low).all(axis=1) & (windows + 150 >= high).all(axis=1)).any()
    assert windows_around(boxes[:1], 2000, (660, 960)) == [(0, 0)]


@pytest.mark.parametrize(("size", "tile"), [((640, 640), 1280), ((3000, 4000), 640), ((64, 48), 640)])
def test_an_overview_starts_at_half_of_the_finest_scale_and_shows_the_whole_picture(
    size: tuple[int, int], tile: int
) -> None:
    overview = overview_scales(size, tile, 24)
    assert overview[0] == finest_scale(size, 24) / 2
    assert overview[-1] * max(size) <= tile / 2 + 1e-9
    assert all(fine / coarse <= 4 * 1.1 for fine, coarse in pairwise(overview))


def test_only_a_more_confident_finding_covers_another_one() -> None:
    box, points = np.array([[0.0, 0, 10, 10]]), np.zeros((1, 5, 2))
    faces = Findings(box + 1.0, np.array([0.9]), points)
    assert is_covered(Findings(box, np.array([0.5]), points), faces, 0.4).tolist() == [True]
    assert is_covered(Findings(box, np.array([0.95]), points), faces, 0.4).tolist() == [False]
    assert is_covered(Findings(box + 50.0, np.array([0.5]), points), faces, 0.4).tolist() == [False]


class Batching:
    """A network whose finding is as wide as the first red value of the picture, for pictures of one size at once."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, tuple[int, ...]]] = []

    def find(self, picture: Picture, threshold: float) -> Findings:
        raise AssertionError("pictures must go through together")

    def find_batch(self, pictures: Sequence[Picture], threshold: float) -> list[Findings]:
        self.sizes.append((len(pictures), pictures[0].shape))
        assert {picture.shape for picture in pictures} == {pictures[0].shape}
        widths = [float(picture[0, 0, 0]) for picture in pictures]
        return [Findings(np.array([[0, 0, w, w]]), np.ones(1), np.zeros((1, 5, 2))) for w in widths]


def test_pictures_of_one_size_go_through_together_and_keep_their_order() -> None:
    pictures = [np.full((8 + i % 2, 9, 3), i, np.uint8) for i in range(5)]
    network = Batching()
    findings = find_in_batches(network, pictures, 0.5)
    assert [finding.boxes[0, 2] for finding in findings] == [0, 1, 2, 3, 4]
    assert network.sizes == [(3, (8, 9, 3)), (2, (9, 9, 3))]


@needs_embedded
def test_findings_of_a_batch_equal_those_of_each_picture_alone_also_after_a_full_memory() -> None:
    network = load_detector("embedded", embedded.FOLDER).network
    assert isinstance(network, RetinaFaceNetwork)
    group = groups()[0].picture()
    pictures = [np.ascontiguousarray(group[100:420, x : x + 320]) for x in (0, 300, 600, 900)]
    alone = [network.find(picture, 0.1) for picture in pictures]
    module, batches = network.module, []

    def limited(inputs: torch.Tensor) -> Any:
        batches.append(len(inputs))
        if len(inputs) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return module(inputs)

    together = network.find_batch(pictures, 0.1)
    limited.device, limited.mean_tensor = module.device, module.mean_tensor  # type: ignore[attr-defined]
    network.module = limited
    after_full_memory = network.find_batch(pictures, 0.1)
    assert batches == [4, 2, 2]
    assert sum(len(findings.scores) for findings in alone) >= 4
    for results in (together, after_full_memory):
        for expected, findings in zip(alone, results, strict=True):
            for values, expected_values in zip(findings, expected, strict=True):
                np.testing.assert_allclose(values, expected_values, atol=1e-3)


@needs_embedded
def test_staged_and_exhaustive_search_find_the_same_faces_upright_and_on_their_side() -> None:
    network = load_detector("embedded", embedded.FOLDER).network
    group, portrait = groups()[0].picture(), next(iter(albums().values()))[0].picture()
    small = np.rot90(portrait)[::2, ::2]
    image = np.full((720, 1280 + small.shape[1], 3), 90, np.uint8)
    image[:, :1280], image[40 : 40 + small.shape[0], 1280:] = group, small
    detections_by_search = {
        search: SearchingDetector(network, DetectionSettings(search=search)).detect(image)
        for search in ("staged", "exhaustive")
    }
    assert len(detections_by_search["staged"]) == len(detections_by_search["exhaustive"]) == 7
    boxes = np.array([face.box for face in detections_by_search["exhaustive"]])
    assert all(iou(np.array(face.box), boxes).max() > 0.35 for face in detections_by_search["staged"])


def test_an_unknown_search_is_refused() -> None:
    search: Any = "quick"
    with pytest.raises(SettingsError, match='no search "quick"'):
        DetectionSettings(search=search)
