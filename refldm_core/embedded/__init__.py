"""Small models that come with the package, trained by this project's own commands on people that it draws itself.

They show the whole product at work without a download. They know drawn people only: real photos need the official
weights and published face networks.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError

NAME = "embedded"
"""What a user writes or chooses instead of a file."""

FOLDER = Path(__file__).parent

RESTORER = FOLDER / "refldm.safetensors"
"""U-Net (the moving average), first stage and spec, as `refldm convert` writes them."""
DETECTOR = FOLDER / "detector.safetensors"
"""facexlib's RetinaFace mobile0.25."""
RECOGNIZER = FOLDER / "recognizer.onnx"
"""A recognizer of insightface's layout."""

TURNED_THRESHOLD = 0.95
"""Least confidence of the detector in a face that lies on its side. README.md says how it was chosen."""


def require(path: Path) -> Path:
    """One of the files above, if it is there.

    Raises:
        CheckpointError: it is missing.
    """
    if not path.is_file():
        raise missing(path)
    return path


def missing(path: Path) -> CheckpointError:
    """What to say where one of the files is not there."""
    return CheckpointError(
        f"The embedded model {path.name} is missing in {path.parent}.",
        expected="the files that come with this package",
        remedy="install the package or clone the repository again, or use the official weights (`refldm download`)",
    )
