"""Run the tests of the panels' logic, which needs no page, in the test runner of Node.js."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
OLDEST_NODE = (20, 19)
"""The first version of Node.js that recognizes a module in a .js file by its content."""


def test_panel_logic_passes_its_node_tests() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js: install Node.js 20.19 or newer")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < OLDEST_NODE:
        pytest.skip(f"Node.js {version} does not recognize modules by their content: install Node.js 20.19 or newer")
    files = sorted(map(str, UNIT.glob("*.test.mjs")))
    process = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "# pass 0" not in process.stdout
