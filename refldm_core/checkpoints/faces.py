"""Files of face networks -> detectors, recognizers and parsers, with errors that say where a missing file is had."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from .. import embedded
from ..errors import CheckpointError
from ..face.backends import RetinaFaceNetwork, ScrfdNetwork, find_pack
from ..face.detection import DetectionSettings, FaceNetwork, SearchingDetector
from ..face.identity import ArcFaceRecognizer
from ..face.parsing import FaceParser, ParserKind
from ..face.weights import BISENET, BUFFALO_L, PARSENET, RETINAFACE_MOBILE, RETINAFACE_RESNET50, FaceWeights
from .reading import read_tensors

DetectorName = Literal["retinaface_resnet50", "retinaface_mobile0.25", "insightface", "embedded"]

DETECTOR_FILES: dict[DetectorName, str] = {
    "retinaface_resnet50": RETINAFACE_RESNET50.name,
    "retinaface_mobile0.25": RETINAFACE_MOBILE.name,
    "insightface": Path(BUFFALO_L.name).stem,
    "embedded": embedded.DETECTOR.name,
}
"""Detector -> its file in a model folder, for insightface the folder of a pack; the embedded one comes along."""

PARSER_FILES: dict[ParserKind, str] = {"parsenet": PARSENET.name, "bisenet": BISENET.name}

DOWNLOADABLE: dict[str, FaceWeights] = {
    "retinaface_resnet50": RETINAFACE_RESNET50,
    "retinaface_mobile0.25": RETINAFACE_MOBILE,
    "insightface": BUFFALO_L,
    "parsenet": PARSENET,
    "bisenet": BISENET,
}
"""What `refldm download` knows by name."""


def detector_path(name: DetectorName, folder: Path) -> Path:
    """Where a detector's file (or pack) is, or belongs: in a model folder, unless it is the embedded one's."""
    return embedded.DETECTOR if name == "embedded" else folder / DETECTOR_FILES[name]


def load_detector(
    name: DetectorName,
    folder: Path,
    settings: DetectionSettings | None = None,
    device: torch.device | str = "cpu",
) -> SearchingDetector:
    """A face detector by name.

    Args:
        name: which one.
        folder: where its file (or, for insightface, the folder of a pack) is; the embedded one needs none.
        settings: how to search; None for the default.
        device: to run on; insightface runs on the CPU.

    Raises:
        CheckpointError: the file is missing, or not this network's.
        MissingPackageError: the package that the detector is from is not installed.
    """
    path = _there(detector_path(name, folder), name)
    network: FaceNetwork
    if name == "insightface":
        network = ScrfdNetwork(find_pack(path)[0])
    else:
        kind = "resnet50" if name == "retinaface_resnet50" else "mobile0.25"
        file = read_tensors(path)
        turned_threshold = embedded.TURNED_THRESHOLD if name == "embedded" else None
        network = RetinaFaceNetwork(
            kind, file.tensors, device, turned_threshold=turned_threshold, metadata=file.metadata
        )
    return SearchingDetector(network, settings)


def load_recognizer(path: Path) -> ArcFaceRecognizer:
    """A face recognizer from an ONNX file, or from the folder of an insightface pack; errors as `load_detector`."""
    _there(path, "insightface")
    return ArcFaceRecognizer(find_pack(path)[1] if path.is_dir() else path)


def load_parser(kind: ParserKind, folder: Path, device: torch.device | str = "cpu") -> FaceParser:
    """A face parser by name, from its file in a folder; errors as `load_detector`."""
    return FaceParser(kind, read_tensors(_there(folder / PARSER_FILES[kind], kind)).tensors, device)


def _there(path: Path, name: str) -> Path:
    if path.parent == embedded.FOLDER:
        return embedded.require(path)
    if path.exists():
        return path
    source = DOWNLOADABLE[name]
    place = f"and unpack it into {path}" if source.members else f"into {path.parent}"
    raise CheckpointError(
        f"There is no {path.name} in {path.parent}.",
        expected=f"the published {source.name} ({source.size / 1e6:.0f} MB, {source.license})",
        remedy=f"download {source.url} {place}; in a checkout of the project, "
        f"`refldm download {name} --folder {path.parent}` does the same",
    )
