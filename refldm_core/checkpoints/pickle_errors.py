"""Errors for pickled files that are not loaded."""

from __future__ import annotations

from pathlib import Path

from ..errors import CheckpointError, UnsafeCheckpointError


def unsafe_error(path: Path, name: str) -> UnsafeCheckpointError:
    """Return the error for a pickle that names code."""
    return UnsafeCheckpointError(
        f"{path} was not loaded: it asks to run code while loading (it names {name[:200]}).",
        expected="a checkpoint that holds only tensors",
        remedy="get the file from its authors, whose SHA-256 `refldm download` checks; if you made it yourself, save "
        "only its state_dict, or a .safetensors file",
    )


def unusual_error(path: Path, name: str) -> CheckpointError:
    """Return the error for a pickle that names something harmless that this package does not read."""
    return refused_error(path, f"it holds something else than dense tensors and plain values ({name[:200]})")


def refused_error(path: Path, reason: str) -> CheckpointError:
    """Return the error for a pickle that is not loaded for another reason."""
    return CheckpointError(
        f"{path} was not loaded: {reason}.",
        expected="dense tensors whose numbers are in the file, as torch.save writes them",
        remedy="get the file from its authors; if you made it yourself, save its state_dict as a .safetensors file",
    )
