"""PyAV, which reads and writes video files. It is imported at its first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..face.errors import MissingPackageError


def require_av() -> Any:
    """Import PyAV.

    Raises:
        MissingPackageError: PyAV is not installed, or cannot be imported.
    """
    try:
        return import_module("av")
    except ImportError as error:
        raise MissingPackageError(
            f"av cannot be imported ({error}).",
            expected="PyAV 14.2 or newer, which reads and writes video files",
            remedy='run `pip install "av>=14.2"`',
        ) from error
