"""Load face detectors, recognizers and parsers from their files. Errors say where a missing file can be downloaded."""

from __future__ import annotations

from pathlib import Path

import torch

from .. import embedded
from ..errors import CheckpointError
from ..face.backends import RetinaFaceNetwork, ScrfdNetwork
from ..face.detection import DetectionSettings, FaceNetwork, SearchingDetector
from ..face.identity import ArcFaceRecognizer
from ..face.onnx_files import find_pack
from ..face.parsing import FaceParser, ParserKind
from .face_files import DETECTOR_FILES, DOWNLOADABLE, PARSER_FILES, DetectorName
from .reading import read_tensors


def detector_path(name: DetectorName, folder: Path) -> Path:
    """Return the path of a detector's file or pack, which may be missing.

    The embedded detector's file is in this package. The others are in `folder`.
    """
    return embedded.DETECTOR if name == "embedded" else folder / DETECTOR_FILES[name]


def load_detector(
    name: DetectorName,
    folder: Path,
    settings: DetectionSettings | None = None,
    device: torch.device | str = "cpu",
) -> SearchingDetector:
    """Load a face detector by name.

    Args:
        name: The name of the detector.
        folder: The model folder with the detector's file (for insightface, with the folder of a pack). The embedded
            detector ignores it.
        settings: How to search for faces. None uses the default settings.
        device: The device to run on. insightface always runs on the CPU.

    Raises:
        CheckpointError: The file is missing, or belongs to another network.
        MissingPackageError: The Python package of the detector is not installed.
    """
    path = _require_file(detector_path(name, folder), name)
    network: FaceNetwork
    if name == "insightface":
        network = ScrfdNetwork(find_pack(path)[0])
    else:
        kind = "resnet50" if name == "retinaface_resnet50" else "mobile0.25"
        file = read_tensors(path)
        own = name == "embedded"
        network = RetinaFaceNetwork(
            kind,
            file.tensors,
            device,
            turned_threshold=embedded.TURNED_THRESHOLD if own else None,
            second_look=own,
            metadata=file.metadata,
        )
    return SearchingDetector(network, settings)


def load_recognizer(path: Path) -> ArcFaceRecognizer:
    """Load a face recognizer from an ONNX file or from the folder of an insightface pack.

    Raises:
        CheckpointError, MissingPackageError: As for `load_detector`.
    """
    _require_file(path, "insightface")
    return ArcFaceRecognizer(find_pack(path)[1] if path.is_dir() else path)


def load_parser(kind: ParserKind, folder: Path, device: torch.device | str = "cpu") -> FaceParser:
    """Load a face parser by name from its file in a model folder.

    Raises:
        CheckpointError, MissingPackageError: As for `load_detector`.
    """
    return FaceParser(kind, read_tensors(_require_file(folder / PARSER_FILES[kind], kind)).tensors, device)


def _require_file(path: Path, name: str) -> Path:
    """Return the path of an existing file or folder. Otherwise raise an error with the download's address."""
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
