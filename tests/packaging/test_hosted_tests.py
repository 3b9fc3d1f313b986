"""The workflow of the hosted tests: it has not run yet, so what can be checked without running is checked here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def jobs() -> dict[str, Any]:
    return yaml.safe_load(TEXT)["jobs"]


def commands(job: dict[str, Any]) -> dict[str, str]:
    """Command -> the condition of its step."""
    return {step["run"].strip(): step.get("if", "") for step in job["steps"] if "run" in step}


def test_every_system_and_the_oldest_and_newest_python(jobs: dict[str, Any]) -> None:
    matrix = jobs["without-host"]["strategy"]["matrix"]
    assert matrix["system"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert matrix["python"] == ["3.10", "3.13"], "as strings: 3.10 is not 3.1"


def test_its_commands_are_those_of_the_readme(jobs: dict[str, Any]) -> None:
    windows = "runner.os == 'Windows'"
    assert commands(jobs["without-host"]) == {
        "python3 dev.py test": windows.replace("==", "!="),
        "py dev.py test": windows,
    }
    assert "| Linux, macOS | `python3 dev.py test` |\n| Windows | `py dev.py test` |" in README
    clone, install, test = commands(jobs["with-host"])
    assert test == "python3 dev.py test tests/host"
    options = '--depth 1 --branch "${{ matrix.comfyui }}" '
    assert clone.replace(options, "") in README
    lines = install.replace("$GITHUB_WORKSPACE", "path/to/this/checkout").replace('"', "").splitlines()
    missing = [line for line in lines if line not in README]
    assert missing == [line for line in lines if "whl/cpu" in line], "but for the smaller PyTorch"


def test_it_says_that_it_never_ran() -> None:
    assert TEXT.startswith("# Never run so far") and "It has never run" in README
