"""Recreate recorded environments of ComfyUI users, and list what pip would change in them."""

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
"""Name of a distribution, as pip normalizes it -> its version."""


def read_recording(name: str) -> str:
    return next(path for path in ENVIRONMENTS if path.stem == name).read_text(encoding="utf-8")


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def recreate(recording: str, folder: Path) -> tuple[Path, Versions]:
    """Create a virtual environment in which pip sees the recorded distributions.

    The environment holds only their metadata, which is all that a dry run reads.

    Returns:
        The Python of the environment, and the versions of the distributions.
    """
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    versions: Versions = {}
    for block in re.findall(r"^\S+==\S+\n(?:    .+\n)*", recording, re.MULTILINE):
        first, *requirements = block.strip().splitlines()
        name, version = first.split("==")
        versions[normalize(name)] = version
        metadata = site / f"{re.sub('[-.]+', '_', name)}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        requires = "".join(f"Requires-Dist: {requirement.strip()}\n" for requirement in requirements)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}", encoding="utf-8")
    return python, versions


def dry_run(python: Path, *arguments: str) -> Versions:
    """Return what `pip install` with these arguments would install into an environment.

    Raises:
        subprocess.CalledProcessError: pip finds no versions that fit.
    """
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--dry-run", "--quiet"]
    process = subprocess.run([*command, "--report", "-", *arguments], capture_output=True, text=True, check=False)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, process.stdout, process.stderr)
    report = json.loads(process.stdout)
    metadata = [distribution["metadata"] for distribution in report["install"]]
    return {normalize(entry["name"]): entry["version"] for entry in metadata}


def dry_run_with_index(python: Path, arguments: Sequence[str]) -> Versions:
    """Return what pip would install from a package index. Skip the test if pip reaches none."""
    try:
        return dry_run(python, *arguments)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"pip reaches no package index: {error.stderr.strip().splitlines()[-1]}")
