"""The panels' logic, which needs no page: run by node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
OLDEST = (20, 19)
"""The first node that takes a .js file for a module by its content."""


def test_the_logic_of_the_panels() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node: install Node.js 20.19 or newer")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < OLDEST:
        pytest.skip(f"node {version} does not know modules by their content: install Node.js 20.19 or newer")
    files = sorted(map(str, UNIT.glob("*.test.mjs")))
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout
