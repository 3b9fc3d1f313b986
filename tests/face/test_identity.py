"""Embeddings by onnxruntime, compared with insightface's own class on the same file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from refldm_core.errors import CheckpointError
from refldm_core.face.alignment import FFHQ_TEMPLATE, align_faces, face_from_landmarks, similarity
from refldm_core.face.identity import (
    ARCFACE_TEMPLATE,
    ArcFaceRecognizer,
    cosine,
    embed_aligned,
    embed_crops,
    embed_faces,
    normalize,
)
from refldm_core.face.onnx_files import find_pack
from refldm_core.face.types import Landmarks5, transform_points
from tests.face.toys import collage, save_arcface, save_scrfd, transform_of


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("pack") / "w600k_r50.onnx"
    save_arcface(path)
    return path


def test_embeddings_equal_those_of_insightface(path):
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    model = ArcFaceONNX(model_file=str(path))
    pictures = np.random.default_rng(0).integers(0, 256, (40, 112, 112, 3), dtype=np.uint8)
    oracle = normalize(model.get_feat([np.ascontiguousarray(p[..., ::-1]) for p in pictures]))
    crops = torch.as_tensor(pictures).movedim(-1, 1).float() / 127.5 - 1
    embeddings = ArcFaceRecognizer(path).embed(crops)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(embeddings, oracle, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*estimate:FutureWarning")
def test_faces_are_cut_out_like_insightface_does(path):
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX
    from insightface.utils.face_align import estimate_norm

    image = collage(400, 500)
    placed = np.array([[0.28, -0.06, 160], [0.06, 0.28, 90.0]])
    uneven = np.array([[2, 0], [0, 1], [1, 1], [0, 0], [0, 2]])
    face = face_from_landmarks(Landmarks5(transform_points(placed, FFHQ_TEMPLATE) + uneven))
    oracle = estimate_norm(face.landmarks.points.astype(np.float32))
    np.testing.assert_allclose(similarity(face.landmarks.points, ARCFACE_TEMPLATE), oracle, atol=2e-3)

    class DetectedFace:
        kps = face.landmarks.points.astype(np.float32)
        embedding = None

    pixels = ((image + 1) * 127.5).round().byte().movedim(0, -1).numpy()[..., ::-1]
    expected = normalize(ArcFaceONNX(model_file=str(path)).get(np.ascontiguousarray(pixels), DetectedFace())[None])
    embeddings = embed_faces(ArcFaceRecognizer(path), [image], [face])
    assert cosine(embeddings, expected)[0, 0] > 0.99  # insightface shrinks without antialiasing


def test_crops_embed_like_the_pictures_that_they_were_cut_from(path):
    recognizer, image = ArcFaceRecognizer(path), collage(400, 500)
    placed = np.array([[0.4, -0.06, 130], [0.06, 0.4, 60.0]])
    face = face_from_landmarks(Landmarks5(transform_points(placed, FFHQ_TEMPLATE)))
    faces, crops = align_faces([image], [face])
    direct = embed_faces(recognizer, [image], [face])
    assert cosine(direct, embed_aligned(recognizer, crops, faces))[0, 0] > 0.995
    assert cosine(direct, embed_crops(recognizer, crops))[0, 0] > 0.995
    small_crops = torch.nn.functional.interpolate(crops, 256, mode="bilinear", antialias=True)
    assert cosine(direct, embed_aligned(recognizer, small_crops, faces))[0, 0] > 0.995


def test_no_faces_give_no_embeddings(path):
    assert len(embed_faces(ArcFaceRecognizer(path), [], [])) == 0
    assert transform_of(10, 0, (20, 20)).crop_size == 512


def test_missing_and_foreign_files_are_refused(tmp_path):
    save_scrfd(tmp_path / "det.onnx")
    with pytest.raises(CheckpointError, match="not an ArcFace recognizer"):
        ArcFaceRecognizer(tmp_path / "det.onnx")
    with pytest.raises(CheckpointError, match="There is no file"):
        ArcFaceRecognizer(tmp_path / "absent.onnx")


def _save_network(path, nodes, outputs=("683",), metadata=None, with_input=True):
    image = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["n", 3, 112, 112])
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "network", [image] if with_input else [], results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))


def test_a_network_that_cannot_be_run_is_refused(tmp_path):
    shape = helper.make_node("Constant", [], ["shape"], value_ints=[7, 7])
    _save_network(tmp_path / "a.onnx", [shape, helper.make_node("Reshape", ["input.1", "shape"], ["683"])])
    recognizer = ArcFaceRecognizer(tmp_path / "a.onnx")
    with pytest.raises(CheckpointError, match="cannot be run"):
        recognizer.embed(torch.zeros(2, 3, 112, 112))


def test_a_result_that_is_no_vector_is_refused(tmp_path):
    _save_network(tmp_path / "a.onnx", [helper.make_node("Relu", ["input.1"], ["683"])])
    recognizer = ArcFaceRecognizer(tmp_path / "a.onnx")
    with pytest.raises(CheckpointError, match=r"the shape \(2, 3, 112, 112\)"):
        recognizer.embed(torch.zeros(2, 3, 112, 112))


def test_a_network_without_inputs_is_refused(tmp_path):
    _save_network(
        tmp_path / "a.onnx", [helper.make_node("Constant", [], ["683"], value_floats=[1.0])], with_input=False
    )
    with pytest.raises(CheckpointError, match="not an ArcFace recognizer"):
        ArcFaceRecognizer(tmp_path / "a.onnx")
    with pytest.raises(CheckpointError, match="not an insightface pack"):
        find_pack(tmp_path)


def test_metadata_that_is_no_text_is_refused(tmp_path):
    _save_network(tmp_path / "a.onnx", [helper.make_node("Relu", ["input.1"], ["683"])], metadata={"key": "@@@@"})
    path = tmp_path / "a.onnx"
    path.write_bytes(path.read_bytes().replace(b"@@@@", b"\xff\xff\xff\xff"))
    with pytest.raises(CheckpointError):
        ArcFaceRecognizer(path)
