"""PyAV, which reads and writes video files. It is imported at its first use."""

from __future__ import annotations

from typing import Any

from ..face.packages import import_or_explain


def require_av() -> Any:
    """Import PyAV.

    Raises:
        MissingPackageError: PyAV is not installed, or cannot be imported.
    """
    return import_or_explain(
        "av",
        expected="PyAV 14.2 or newer, which reads and writes video files",
        remedy='run `pip install "av>=14.2"`',
    )
