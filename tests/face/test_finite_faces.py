"""NaN and infinity from networks, weights and users are errors, never results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from refldm_core.errors import CheckpointError, NotFiniteError
from refldm_core.evaluation.identity import PublishedIdentity
from refldm_core.face.backends import RetinaFaceNetwork, load_strictly
from refldm_core.face.detection import DetectionSettings, SearchingDetector
from refldm_core.face.errors import FaceError
from refldm_core.face.findings import Findings
from refldm_core.face.identity import embed_crops, embed_faces
from refldm_core.face.landmarks import landmarks_from_points, parse_landmarks
from refldm_core.face.types import Face, Landmarks5

NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
POINTS = np.array([[40.0, 40.0], [60.0, 40.0], [50.0, 50.0], [42.0, 60.0], [58.0, 60.0]])
FACE = Face((30.0, 30.0, 70.0, 75.0), 0.9, Landmarks5(POINTS))


class Network:
    """A network that finds one face in every tile, with one number that is not finite."""

    tile, threshold, turned_threshold, second_look, metadata = 200, 0.5, 0.5, False, {}

    def __init__(self, part: str, value: float) -> None:
        self.part, self.value = part, value

    def find(self, picture: Any, threshold: float) -> Findings:
        findings = Findings(np.array([FACE.box]), np.array([0.9]), POINTS[None].copy())
        getattr(findings, self.part).flat[0] = self.value
        return findings


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("part", Findings._fields)
def test_findings_that_are_not_finite_are_refused(part: str, value: float) -> None:
    detector = SearchingDetector(Network(part, value))
    with pytest.raises(NotFiniteError, match="face detector gave values that are not finite") as caught:
        detector.detect(np.zeros((100, 100, 3), np.uint8))
    assert caught.value.expected and caught.value.remedy


def test_nan_scores_of_all_anchors_are_refused() -> None:
    """NaN is not above any threshold, so the picture would seem to have no face."""
    network = RetinaFaceNetwork.__new__(RetinaFaceNetwork)

    class Module(nn.Module):
        device, mean_tensor = torch.device("cpu"), torch.zeros(1, 3, 1, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return torch.zeros(1, 168, 4), torch.full((1, 168, 2), float("nan")), torch.zeros(1, 168, 10)

    network.module = Module()
    with pytest.raises(NotFiniteError):
        network.find(np.zeros((64, 64, 3), np.uint8), 0.5)


class Recognizer:
    def __init__(self, value: float) -> None:
        self.value = value

    def embed(self, crops: Tensor) -> Any:
        embeddings = np.full((len(crops), 8), 0.5, np.float32)
        embeddings[-1:, 3] = self.value
        return embeddings


EMBEDDING_FUNCTIONS: dict[str, Callable[[Recognizer], object]] = {
    "faces": lambda recognizer: embed_faces(recognizer, [torch.zeros(3, 100, 100)], [FACE]),
    "crops": lambda recognizer: embed_crops(recognizer, torch.zeros(2, 3, 64, 64)),
    "published": lambda recognizer: PublishedIdentity(recognizer).embed_crops(torch.zeros(2, 3, 64, 64)),
}


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("function", EMBEDDING_FUNCTIONS)
def test_embeddings_that_are_not_finite_are_refused(function: str, value: float) -> None:
    EMBEDDING_FUNCTIONS[function](Recognizer(0.5))
    with pytest.raises(NotFiniteError, match="face recognizer gave values that are not finite") as caught:
        EMBEDDING_FUNCTIONS[function](Recognizer(value))
    assert caught.value.expected and caught.value.remedy


@pytest.mark.parametrize("value", NOT_FINITE)
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    module = nn.Linear(2, 2)
    tensors = {"weight": torch.full((2, 2), value), "bias": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"1 tensors of a network have values that are not finite .first: weight"):
        load_strictly(module, tensors, "a network")


@pytest.mark.parametrize("value", NOT_FINITE)
def test_landmarks_that_are_not_finite_are_refused(value: float) -> None:
    points = POINTS.copy()
    points[2, 1] = value
    with pytest.raises(FaceError, match="not finite"):
        landmarks_from_points(points)
    with_depth = np.concatenate([POINTS, np.full((5, 1), value)], 1)
    assert np.array_equal(landmarks_from_points(with_depth).points, POINTS), "the depth is ignored"


def test_typed_landmarks_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FaceError, match="not finite"):
        parse_landmarks("1e999 1 2 1 1.5 2 1 3 2 3")


class Crowd(Network):
    """A network that finds a face in every square of some pixels."""

    def __init__(self, step: int) -> None:
        self.step = step

    def find(self, picture: Any, threshold: float) -> Findings:
        rows, columns = (np.arange(0, length, self.step) for length in picture.shape[:2])
        corners = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)
        boxes = np.concatenate([corners, corners + self.step], axis=1)
        return Findings(boxes, np.full(len(boxes), 0.9), corners[:, None] + POINTS / 10.0)


def test_more_faces_than_a_picture_can_show_are_refused() -> None:
    """A damaged network finds faces everywhere, and looking at each again would take hours."""
    picture = np.zeros((96, 96, 3), np.uint8)
    with pytest.raises(FaceError, match=r"finds \d+ faces in a picture of 96x96 pixels") as caught:
        SearchingDetector(Crowd(4), DetectionSettings(turns=(0,))).detect(picture)
    assert caught.value.expected == "at most 160 faces" and "detector" in caught.value.remedy
    assert SearchingDetector(Crowd(48), DetectionSettings(turns=(0,))).detect(picture)
