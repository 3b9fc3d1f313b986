"""The files of the face networks: recognizer (ONNX), detector (.safetensors)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_recognizer
from refldm_core.checkpoints.reading import read_tensors
from refldm_core.face.backends import RetinaFaceNetwork, ScrfdNetwork
from refldm_core.face.detection import DetectionSettings, FaceNetwork, SearchingDetector
from refldm_core.face.identity import embed

from ...face.toys import save_arcface, save_scrfd
from ..cases import Action, Case, Reader, require
from ..mutation import cut, mutate
from ..seed_files import photo
from .whole_files import file_reader


def read_recognizer(path: Path) -> None:
    """Load a recognizer, and embed a face."""
    embeddings = embed(load_recognizer(path), torch.zeros(2, 3, 112, 112))
    require(np.isfinite(embeddings).all() and embeddings.ndim == 2 and len(embeddings) == 2, "no embedding")


def read_detector(path: Path) -> None:
    """Load a detector, and search a small picture."""
    file = read_tensors(path)
    _search(RetinaFaceNetwork("mobile0.25", file.tensors, second_look=True, metadata=file.metadata))


def read_scrfd(path: Path) -> None:
    """Load insightface's detector, and search a small picture."""
    _search(ScrfdNetwork(path, tile=64))


def _search(network: FaceNetwork) -> None:
    settings = DetectionSettings(turns=(0,))
    for face in SearchingDetector(network, settings).detect(np.asarray(photo(3, 64, 64))):
        require(np.isfinite([*face.box, face.score]).all() and np.isfinite(face.landmarks.points).all(), "not finite")


def _prepare_small(case: Case) -> Action:
    """Damage a small ONNX file, in which every byte counts."""
    random = case.random
    path = case.folder / "small.onnx"
    is_recognizer = random.random() < 0.6
    if is_recognizer:
        save_arcface(path, 0)
    else:
        save_scrfd(path)
    content = path.read_bytes()
    path.write_bytes(cut(content, random) if random.random() < 0.1 else mutate(content, random))
    return partial(read_recognizer if is_recognizer else read_scrfd, path)


READERS = [
    file_reader("recognizer", "networks", embedded.RECOGNIZER.name, read_recognizer, share=8),
    file_reader("detector", "networks", embedded.DETECTOR.name, read_detector, share=6),
    Reader("small ONNX", _prepare_small, 12, read_recognizer),
]
