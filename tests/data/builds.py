"""Helpers of the builder's tests: settings, and readers of what a build wrote."""

from __future__ import annotations

import csv
from pathlib import Path

from refldm_core.data import builder
from refldm_core.data.builder import BuildSettings
from refldm_core.data.splits import SplitSettings

SETTINGS = BuildSettings(SplitSettings(test=2))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file that a build wrote, except its records of the photos."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != builder.STATE)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
