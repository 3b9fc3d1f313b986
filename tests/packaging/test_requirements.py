"""Installing the pack's requirements changes no package of a ComfyUI: dry runs of pip in recorded environments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .recorded import ENVIRONMENTS, REQUIREMENTS, dry_run, dry_run_with_index, read_recording, recreate


def test_four_environments_are_recorded() -> None:
    assert [path.stem for path in ENVIRONMENTS] == ["directml", "portable-numpy-1", "portable-numpy-2", "reactor"]


@pytest.mark.parametrize("recording", ENVIRONMENTS, ids=lambda path: path.stem)
def test_requirements_install_and_replace_nothing(recording: Path, tmp_path: Path) -> None:
    """Without a package index, pip can only accept the installed packages."""
    python, versions = recreate(recording.read_text(encoding="utf-8"), tmp_path / "env")
    assert len(versions) > 20
    assert dry_run(python, "--no-index", *REQUIREMENTS) == {}


def test_missing_packages_are_added_and_the_rest_stays(tmp_path: Path) -> None:
    """An environment without SciPy keeps its NumPy, because pip chooses a SciPy that fits it."""
    recording = read_recording("portable-numpy-1")
    text = re.sub(r"^(scipy|PyYAML)==.*\n(?:    .*\n)*", "", recording, flags=re.MULTILINE)
    python, versions = recreate(text, tmp_path / "env")
    assert "scipy" not in versions and "numpy" in versions
    added = dry_run_with_index(python, REQUIREMENTS)
    assert {"scipy", "pyyaml"} <= set(added) and not set(added) & set(versions)


def test_dry_run_shows_replacements(tmp_path: Path) -> None:
    """The dry run would notice replacements: earlier requirements replaced packages that ReActor needs."""
    python, versions = recreate(read_recording("reactor"), tmp_path / "env")
    changes = dry_run_with_index(python, ["--no-deps", "facexlib>=0.3.0", "insightface>=1.0", "onnxruntime>=1.17"])
    assert set(changes) == {"insightface", "onnxruntime"}
    assert changes["insightface"] != versions["insightface"] and "onnxruntime-gpu" in versions
