"""Small models that come with the package, trained with this project's own commands on people that it renders.

They show the complete product without a download. They know only rendered people. Real photos need the official weights
and published face networks.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError

NAME = "embedded"
"""Name that a user writes or chooses instead of a file."""

FOLDER = Path(__file__).parent

RESTORER = FOLDER / "refldm.safetensors"
"""U-Net (the moving average), first stage and spec, in the format of `refldm convert`."""

DETECTOR = FOLDER / "detector.safetensors"
"""RetinaFace mobile0.25 for facexlib."""

RECOGNIZER = FOLDER / "recognizer.onnx"
"""A recognizer in insightface's layout."""

TURNED_THRESHOLD = 0.95
"""Least confidence of the detector that a turned face needs."""


def require(path: Path) -> Path:
    """Return the path of an embedded model.

    Raises:
        CheckpointError: the file is missing.
    """
    if not path.is_file():
        raise missing(path)
    return path


def missing(path: Path) -> CheckpointError:
    """Return the error for a missing embedded model."""
    return CheckpointError(
        f"The embedded model {path.name} is missing in {path.parent}.",
        expected="the files that come with this package",
        remedy="install the package or clone the repository again, or use the official weights (`refldm download`)",
    )
