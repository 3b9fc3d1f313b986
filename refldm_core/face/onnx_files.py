"""ONNX files: opening them with onnxruntime, their metadata, and insightface's packs of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ReFLDMError
from ..out_of_memory import is_out_of_memory
from .packages import import_optional

_USUAL_PREFIXES = ("det_", "scrfd_", "w600k_", "glintr")
"""Beginnings of the file names in insightface's packs."""


def onnx_session(path: Path, providers: Sequence[str] | None = None) -> Any:
    """Open an ONNX file with onnxruntime.

    Args:
        path: Path of the file.
        providers: Execution providers, in order of preference. None for the CPU.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        CheckpointError: The file is missing, or is not an ONNX file.
    """
    if not path.is_file():
        raise CheckpointError(
            f"There is no file {path}.", expected="an ONNX file", remedy="check the path, or download the pack"
        )
    runtime = import_optional("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors only
    try:
        return runtime.InferenceSession(str(path), options, providers=list(providers or ["CPUExecutionProvider"]))
    except Exception as error:  # onnxruntime's own exceptions have no common base
        if is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"{path} cannot be loaded by onnxruntime ({str(error).splitlines()[0]}).",
            expected="a complete ONNX file",
            remedy="get the file again",
        ) from error


def metadata_of(session: Any, path: Path) -> dict[str, str]:
    """Return the custom metadata of an ONNX file.

    Args:
        session: The opened file.
        path: Its path, for the message.

    Raises:
        CheckpointError: The metadata is not Unicode text.
    """
    try:
        return dict(session.get_modelmeta().custom_metadata_map)
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"The metadata of {path} is not Unicode text.", expected="a complete ONNX file", remedy="get the file again"
        ) from error


def input_shape(session: Any) -> list[Any]:
    """Return the shape of the first input. A side that may have any length is a text or None. [] without inputs."""
    inputs = session.get_inputs()
    return list(inputs[0].shape or []) if inputs else []


@contextmanager
def running(path: Path) -> Generator[None, None, None]:
    """Explain the errors of a network that can be loaded and cannot be run.

    Raises:
        CheckpointError: An error of onnxruntime, or of reading a result that has another shape.
    """
    try:
        yield
    except Exception as error:  # onnxruntime's own exceptions have no common base
        if isinstance(error, ReFLDMError) or is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"The network in {path} cannot be run ({(str(error) or type(error).__name__).splitlines()[0][:200]}).",
            expected="a complete ONNX file of a published network",
            remedy="get the file again, or choose another one",
        ) from error


def find_pack(folder: Path) -> tuple[Path, Path]:
    """Find the detection file and the recognition file of an insightface pack by their inputs and outputs.

    Args:
        folder: Folder with the unpacked ONNX files.

    Returns:
        The paths of the detection file and of the recognition file.

    Raises:
        CheckpointError: The folder lacks one of them.
    """
    detection: Path | None = None
    recognition: Path | None = None
    # Usual names come first, because opening the other large files of a pack takes seconds.
    files = [path for path in folder.glob("*.onnx") if not path.name.startswith(".")]
    for path in sorted(files, key=lambda p: (not p.name.startswith(_USUAL_PREFIXES), p.name)):
        session = onnx_session(path)
        shape, outputs = input_shape(session), len(session.get_outputs())
        if detection is None and outputs in (9, 15):
            detection = path
        elif recognition is None and outputs == 1 and shape[1:] == [3, 112, 112]:
            recognition = path
        if detection is not None and recognition is not None:
            return detection, recognition
    raise CheckpointError(
        f"{folder} is not an insightface pack: {'detection' if detection is None else 'recognition'} is missing.",
        expected="a folder with a SCRFD file with landmarks (det_*.onnx) and a recognition file of 112 pixels",
        remedy="unpack buffalo_l.zip into it",
    )
