"""The files of the face networks, by the names that users choose.

This module imports no library, so that the command line shows the names at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from .. import embedded
from ..face.constants import ParserKind
from ..face.weights import BISENET, BUFFALO_L, PARSENET, RETINAFACE_MOBILE, RETINAFACE_RESNET50, FaceWeights

DetectorName = Literal["retinaface_resnet50", "retinaface_mobile0.25", "insightface", "embedded"]

DETECTOR_FILES: dict[DetectorName, str] = {
    "retinaface_resnet50": RETINAFACE_RESNET50.name,
    "retinaface_mobile0.25": RETINAFACE_MOBILE.name,
    "insightface": Path(BUFFALO_L.name).stem,
    "embedded": embedded.DETECTOR.name,
}
"""Detector -> name of its file in a model folder. insightface has the folder of a pack instead of a file. The embedded
detector is part of this package."""

PARSER_FILES: dict[ParserKind, str] = {"parsenet": PARSENET.name, "bisenet": BISENET.name}

DOWNLOADABLE: dict[str, FaceWeights] = {
    "retinaface_resnet50": RETINAFACE_RESNET50,
    "retinaface_mobile0.25": RETINAFACE_MOBILE,
    "insightface": BUFFALO_L,
    "parsenet": PARSENET,
    "bisenet": BISENET,
}
"""Name that `refldm download` accepts -> the face network's published file."""
