"""The hosted workflows have never run. These tests check what can be checked without running them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import dev
from refldm_core import __version__

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in (GITHUB / "workflows").glob("*.yml")}
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def jobs_of(name: str) -> dict[str, Any]:
    return yaml.safe_load(WORKFLOWS[name])["jobs"]


def commands(job: dict[str, Any]) -> dict[str, str]:
    """Return each command of a job with the condition of its step."""
    return {step["run"].strip(): step.get("if", "") for step in job["steps"] if "run" in step}


def test_hosted_tests_cover_every_system_and_supported_python() -> None:
    matrix = jobs_of("tests.yml")["without-host"]["strategy"]["matrix"]
    assert matrix["system"] == ["ubuntu-latest", "windows-latest", "macos-latest"]
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13"], "strings, because YAML reads 3.10 as 3.1"
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r"Python :: (3\.\d+)", metadata) == matrix["python"]


def test_hosted_commands_are_those_in_readme_and_contributing() -> None:
    windows = "runner.os == 'Windows'"
    assert commands(jobs_of("tests.yml")["without-host"]) == {
        "python3 dev.py test": windows.replace("==", "!="),
        "py dev.py test": windows,
    }
    for page in (README, CONTRIBUTING):
        assert "python3 dev.py test" in page and "py dev.py test" in page
    clone, install, test = commands(jobs_of("host.yml")["with-host"])
    assert test == "python3 dev.py test tests/host"
    assert clone.replace('--depth 1 --branch "$VERSION" ', "") in CONTRIBUTING
    lines = install.replace("$GITHUB_WORKSPACE", "path/to/this/checkout").replace('"', "").splitlines()
    undocumented = [line for line in lines if line not in CONTRIBUTING]
    assert undocumented == [line for line in lines if "whl/cpu" in line], "only the CPU build of PyTorch may differ"


def test_oldest_tested_host_is_the_required_version() -> None:
    oldest, *newer = jobs_of("tests.yml")["with-host"]["strategy"]["matrix"]["comfyui"]
    assert f'requires-comfyui = ">={oldest.removeprefix("v")}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert newer and jobs_of("nightly.yml")["newest-host"]["with"]["comfyui"] == "master"


def test_called_workflows_exist() -> None:
    called = {job["uses"] for name in WORKFLOWS for job in jobs_of(name).values() if "uses" in job}
    assert called == {"./.github/workflows/host.yml", "./.github/workflows/tests.yml"}
    for path in called:
        assert "workflow_call:" in (ROOT / path).read_text(encoding="utf-8")


def test_workflows_and_contributing_say_that_they_never_ran() -> None:
    assert all(text.startswith("# Never run so far") for text in WORKFLOWS.values())
    assert "None of them has run yet" in " ".join(CONTRIBUTING.split())


def test_commit_hook_runs_the_checks_of_dev_py() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (hook,) = repository["hooks"]
    assert hook["entry"] == "python dev.py check" and "dev.py check" in str(dev.__doc__)


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.stem)
def test_issue_forms_have_all_required_fields(path: Path) -> None:
    """The hosting service rejects a form with repeated ids, or without a name, description or body."""
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)


def test_problem_form_asks_for_versions_workflow_and_log() -> None:
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "problem.yml").read_text(encoding="utf-8"))
    required = {field["id"] for field in form["body"] if field.get("validations", {}).get("required")}
    assert {"version", "versions", "workflow", "log"} <= required


@pytest.fixture
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", GITHUB / "release.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_this_version_may_be_published(release: ModuleType) -> None:
    assert release.version() == __version__
    assert release.problems(f"v{__version__}", release.repository()) == []


@pytest.mark.parametrize(
    ("tag", "address", "problem"),
    [
        ("v9.9.9", None, "says 0"),
        ("v9.9.9", None, "no section"),
        (f"v{__version__}", "https://github.com/somebody/fork", "somebody/fork"),
    ],
)
def test_tag_that_contradicts_the_files_is_not_published(
    release: ModuleType, tag: str, address: str | None, problem: str
) -> None:
    assert any(problem in line for line in release.problems(tag, address))


def test_release_notes_are_the_section_of_that_version(
    release: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = {"[Unreleased]": "new", "[1.2.0] - 2026-01-02": "middle", "[1.1.0] - 2025-01-02": "old"}
    text = "# Changelog\n\n" + "".join(f"## {heading}\n\n- {line}\n\n" for heading, line in sections.items())
    (tmp_path / "CHANGELOG.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(release, "ROOT", tmp_path)
    assert [release.notes(number) for number in ("1.2.0", "1.1.0", "1.3.0")] == ["- middle", "- old", ""]


def test_release_exit_code_says_whether_to_publish(tmp_path: Path) -> None:
    folder = tmp_path / ".github"
    folder.mkdir()
    shutil.copy(GITHUB / "release.py", folder)
    (tmp_path / "refldm_core").mkdir()
    (tmp_path / "refldm_core" / "__init__.py").write_text('__version__ = "1.0.0"\n', encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("## [1.0.0] - 2026-01-02\n\n- first\n", encoding="utf-8")
    command = [sys.executable, str(folder / "release.py")]
    process = subprocess.run([*command, "v1.0.0"], capture_output=True, text=True, check=True)
    assert process.stdout == "- first\n"
    assert subprocess.run([*command, "v1.0.1"], capture_output=True, check=False).returncode == 1
