"""Tests of the root `__init__.py`, which ComfyUI imports by its path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

LOAD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("pack", {path!r}, submodule_search_locations=[{folder!r}])
module = importlib.util.module_from_spec(spec)
sys.modules["pack"] = module
spec.loader.exec_module(module)
print([name for name in ("torch", "numpy", "PIL", "comfy", "insightface", "facexlib") if name in sys.modules])
"""


def test_the_entry_point_imports_without_comfyui_and_imports_no_large_library(tmp_path: Path) -> None:
    code = LOAD.format(path=str(ROOT / "__init__.py"), folder=str(ROOT))
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())
