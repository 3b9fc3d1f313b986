"""Installing the pack's requirements changes nothing that a ComfyUI has: dry runs of pip in recorded environments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .recorded import ENVIRONMENTS, REQUIREMENTS, recording_of, recreate, to_install, to_install_from_index


def test_four_environments_are_recorded() -> None:
    assert [path.stem for path in ENVIRONMENTS] == ["directml", "portable-numpy-1", "portable-numpy-2", "reactor"]


@pytest.mark.parametrize("recording", ENVIRONMENTS, ids=lambda path: path.stem)
def test_nothing_is_installed_or_replaced(recording: Path, tmp_path: Path) -> None:
    """Without an index, so that pip can do no more than accept what is there."""
    python, versions = recreate(recording.read_text(encoding="utf-8"), tmp_path / "env")
    assert len(versions) > 20
    assert to_install(python, "--no-index", *REQUIREMENTS) == {}


def test_what_is_missing_is_added_and_the_rest_stays(tmp_path: Path) -> None:
    """An environment without SciPy keeps its NumPy: pip takes a SciPy that fits it."""
    recording = recording_of("portable-numpy-1")
    text = re.sub(r"^(scipy|PyYAML)==.*\n(?:    .*\n)*", "", recording, flags=re.MULTILINE)
    python, versions = recreate(text, tmp_path / "env")
    assert "scipy" not in versions and "numpy" in versions
    added = to_install_from_index(python, REQUIREMENTS)
    assert {"scipy", "pyyaml"} <= set(added) and not set(added) & set(versions)


def test_a_dry_run_shows_replacements(tmp_path: Path) -> None:
    """The check itself: the requirements of before replaced what ReActor needs."""
    python, versions = recreate(recording_of("reactor"), tmp_path / "env")
    changes = to_install_from_index(python, ["--no-deps", "facexlib>=0.3.0", "insightface>=1.0", "onnxruntime>=1.17"])
    assert set(changes) == {"insightface", "onnxruntime"}
    assert changes["insightface"] != versions["insightface"] and "onnxruntime-gpu" in versions
