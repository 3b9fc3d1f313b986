"""Recorded environments of ComfyUI users, and what pip would change in them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((Path(__file__).parent / "environments").glob("*.txt"))
REQUIREMENTS = ["-r", str(ROOT / "requirements.txt")]

Versions = dict[str, str]


def recording_of(name: str) -> str:
    return next(path for path in ENVIRONMENTS if path.stem == name).read_text(encoding="utf-8")


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def recreate(recording: str, folder: Path) -> tuple[Path, Versions]:
    """A virtual environment in which pip sees the recorded distributions: its Python, and their versions.

    Only their metadata is there, which is all that a dry run looks at.
    """
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
    versions: Versions = {}
    for block in re.findall(r"^\S+==\S+\n(?:    .+\n)*", recording, re.MULTILINE):
        first, *requirements = block.strip().splitlines()
        name, version = first.split("==")
        versions[normalized(name)] = version
        metadata = site / f"{re.sub('[-.]+', '_', name)}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        needs = "".join(f"Requires-Dist: {requirement.strip()}\n" for requirement in requirements)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}", encoding="utf-8")
    return python, versions


def to_install(python: Path, *words: str) -> Versions:
    """What pip would install into an environment.

    Raises:
        subprocess.CalledProcessError: pip finds no versions that fit.
    """
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--dry-run", "--quiet"]
    done = subprocess.run([*command, "--report", "-", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    report = json.loads(done.stdout)
    return {normalized(d["metadata"]["name"]): d["metadata"]["version"] for d in report["install"]}


def to_install_from_index(python: Path, words: Sequence[str]) -> Versions:
    try:
        return to_install(python, *words)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"pip reaches no package index: {error.stderr.strip().splitlines()[-1]}")
