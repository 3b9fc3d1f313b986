"""The published detection networks, with weight files of the published layout."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from refldm_core.checkpoints.reading import read_tensors
from refldm_core.errors import CheckpointError
from refldm_core.face.backends import RetinaFaceNetwork, ScrfdNetwork
from refldm_core.face.detection import DetectionSettings, SearchingDetector
from refldm_core.face.onnx_files import find_pack
from tests.face.toys import LOOKS, draw_face, save_arcface, save_scrfd

GRAY = 127


@pytest.fixture(scope="module")
def scrfd(tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "det_10g.onnx"
    save_scrfd(path)
    return ScrfdNetwork(path)


def retinaface_file(tmp_path, kind, edit=lambda tensors: None):
    from facexlib.detection.retinaface import RetinaFace

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # facexlib passes torchvision a deprecated argument
        tensors = RetinaFace(network_name=kind, device=torch.device("cpu")).state_dict()
    edit(tensors)
    path = tmp_path / "detection.pth"
    torch.save({f"module.{k}": v for k, v in tensors.items()}, path)
    return read_tensors(path).tensors


@pytest.mark.parametrize("kind", ["mobile0.25", "resnet50"])
def test_retinaface_finds_what_facexlib_finds_in_bgr(tmp_path, kind):
    def scale_weights(tensors):
        for name, value in tensors.items():
            # The scores of random heads are all close to 1. Equal scores would have no defined order.
            if name.startswith(("ClassHead", "BboxHead", "LandmarkHead")):
                value.mul_(0.02)
            elif kind == "mobile0.25" and value.ndim == 4:  # the random features of this backbone would vanish
                value.mul_(2.5)

    network = RetinaFaceNetwork(kind, retinaface_file(tmp_path, kind, scale_weights))
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    oracle = network.module.detect_faces(np.ascontiguousarray(picture[..., ::-1]), conf_threshold=0.4)
    assert len(oracle) > 5
    assert len(set(oracle[:, 4])) == len(oracle)
    findings = network.find(picture, 0.4)
    np.testing.assert_allclose(np.column_stack([findings.boxes, findings.scores]), oracle[:, :5], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(findings.landmarks.reshape(-1, 10), oracle[:, 5:], rtol=1e-4, atol=1e-3)


def test_retinaface_decodes_priors_to_known_boxes(tmp_path):
    def only_the_largest_anchor(tensors):
        for name, value in tensors.items():
            if name.startswith(("ClassHead", "BboxHead", "LandmarkHead")):
                value.zero_()
        for level in range(3):  # two anchors a cell, two classes each
            tensors[f"ClassHead.{level}.conv1x1.bias"].copy_(torch.tensor([20.0, 0.0, 20.0, 0.0]))
        tensors["ClassHead.2.conv1x1.bias"].copy_(torch.tensor([20.0, 0.0, 0.0, 5.0]))

    network = RetinaFaceNetwork("mobile0.25", retinaface_file(tmp_path, "mobile0.25", only_the_largest_anchor))
    findings = network.find(np.full((64, 64, 3), GRAY, dtype=np.uint8), 0.5)
    # The anchors of 512 pixels have the centers 16 and 48 at stride 32. Non-maximum suppression keeps one of them.
    assert findings.boxes.shape == (1, 4)
    center = (findings.boxes[0, :2] + findings.boxes[0, 2:]) / 2
    assert set(np.round(center)) <= {16.0, 48.0}
    np.testing.assert_allclose(findings.boxes[0, 2:] - findings.boxes[0, :2], 512, atol=1e-3)
    np.testing.assert_allclose(findings.landmarks[0], np.tile(center, (5, 1)), atol=1e-3)
    assert findings.scores[0] == pytest.approx(1 / (1 + np.exp(-5)), abs=1e-6)


def test_retinaface_accepts_pictures_smaller_than_its_pyramid(tmp_path):
    network = RetinaFaceNetwork("mobile0.25", retinaface_file(tmp_path, "mobile0.25"))
    assert network.find(np.full((9, 8, 3), GRAY, dtype=np.uint8), 0.999).boxes.shape == (0, 4)


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    mobile = retinaface_file(tmp_path, "mobile0.25")
    with pytest.raises(CheckpointError, match=r"RetinaFace resnet50: .* missing"):
        RetinaFaceNetwork("resnet50", mobile)
    with pytest.raises(CheckpointError, match="1 tensors are missing"):
        RetinaFaceNetwork("mobile0.25", dict(list(mobile.items())[1:]))


def test_scrfd_decodes_known_boxes_and_landmarks(scrfd):
    picture = np.full((480, 640, 3), GRAY, dtype=np.uint8)
    faces = {48: (96, 80), 96: (304, 208), 192: (480, 320)}
    for size, center in faces.items():
        draw_face(picture, center, size)
    findings = scrfd.find(picture, 0.6)
    assert len(findings.boxes) == 3
    for size, center in faces.items():
        i = int(np.argmin(np.abs(findings.boxes - np.array([*center, *center])).sum(axis=1)))
        half = size / 2
        expected = [center[0] - half, center[1] - half, center[0] + half, center[1] + half]
        np.testing.assert_allclose(findings.boxes[i], expected, atol=1e-3)
        np.testing.assert_allclose(findings.landmarks[i], np.array(center) + size * np.array(LOOKS), atol=1e-3)
        assert findings.scores[i] > 0.9


def test_scrfd_finds_what_insightface_finds_in_bgr(scrfd):
    picture = np.full((640, 640, 3), GRAY, dtype=np.uint8)
    draw_face(picture, (200, 300), 90)
    scrfd.model.prepare(0, det_thresh=0.4)
    boxes, landmarks = scrfd.model.detect(np.ascontiguousarray(picture[..., ::-1]), input_size=(640, 640))
    findings = scrfd.find(picture, 0.4)
    np.testing.assert_array_equal(findings.boxes, boxes[:, :4].astype(float))
    np.testing.assert_array_equal(findings.landmarks, landmarks.astype(float))


def test_scrfd_uses_the_fixed_input_size_of_its_file(tmp_path):
    save_scrfd(tmp_path / "det.onnx", size=320)
    network = ScrfdNetwork(tmp_path / "det.onnx", tile=640)
    assert network.tile == 320
    picture = np.full((500, 700, 3), GRAY, dtype=np.uint8)
    draw_face(picture, (560, 400), 96)
    (face,) = SearchingDetector(network, DetectionSettings(0.5, turns=(0,))).detect(picture)
    np.testing.assert_allclose(face.center, (560, 400), atol=8)


def test_a_missing_or_foreign_file_is_refused_by_name(tmp_path):
    with pytest.raises(CheckpointError, match=r"no file .*absent\.onnx"):
        ScrfdNetwork(tmp_path / "absent.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"not an ONNX file")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        ScrfdNetwork(tmp_path / "junk.onnx")
    save_arcface(tmp_path / "w600k_r50.onnx")
    with pytest.raises(CheckpointError, match="not SCRFD with landmarks"):
        ScrfdNetwork(tmp_path / "w600k_r50.onnx")


def test_files_of_a_pack_are_recognized_by_inputs_and_outputs(tmp_path):
    save_arcface(tmp_path / "w600k_r50.onnx")
    with pytest.raises(CheckpointError, match="detection is missing"):
        find_pack(tmp_path)
    save_scrfd(tmp_path / "a_detector.onnx")
    assert find_pack(tmp_path) == (tmp_path / "a_detector.onnx", tmp_path / "w600k_r50.onnx")


def test_importing_the_face_package_imports_no_optional_package():
    script = """
import sys
import warnings
from pathlib import Path
import refldm_core.face.backends, refldm_core.face.references, refldm_core.face.paste, refldm_core.face.tracking
imported = [m for m in ("cv2", "facexlib", "insightface", "onnxruntime", "torchvision", "scipy") if m in sys.modules]
sys.exit(f"imported {imported}" if imported else 0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
