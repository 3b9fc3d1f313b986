"""Nothing but the commands that download reaches another machine. `tests/cli/test_demo.py` checks the demo so too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

IMPORT_ALL = """
import importlib, pkgutil
import pytest
from tests.offline import forbid_connections

forbid_connections(pytest.MonkeyPatch())
import refldm_core
names = [module.name for module in pkgutil.walk_packages(refldm_core.__path__, "refldm_core.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


def test_importing_every_module_opens_no_connection() -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert int(result.stdout) > 150
