"""Help pages and wrong options need no large library, and importing the nodes needs none that ComfyUI has not loaded.

The tests look at the imported modules instead of the clock, since machines and their load differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from refldm_core.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]

HEAVY = (
    *("torch", "torchvision", "numpy", "scipy", "PIL", "cv2", "skimage", "av", "matplotlib", "safetensors", "yaml"),
    *("onnx", "onnxruntime", "facexlib", "insightface", "accelerate", "pyiqa", "torchmetrics", "requests"),
)

_WRONG_OPTION = "--there-is-no-such-option"
_WORDS = [[name, word] for name in COMMANDS for word in ("--help", _WRONG_OPTION)] + [
    ["dataset", work, "--help"] for work in ("build", "ffhq-ref", "celeba-ref")
]

_PRINT_PAGES = f"""
import contextlib, io, json, sys
from refldm_core.cli.main import main
codes, heavy = [], {{}}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(words)
        except SystemExit as stopped:
            codes.append(stopped.code)
    heavy[" ".join(words)] = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([codes, heavy]))
"""

_IMPORT_NODES = f"""
import json, sys
import numpy, PIL, safetensors.torch, torch, yaml  # ComfyUI has imported these before it imports a pack
from tests.nodes.schemas import read_schemas
before = set(sys.modules)
read_schemas()
print(json.dumps([name for name in {HEAVY!r} if name in set(sys.modules) - before]))
"""


def _run(code: str, *words: str) -> Any:
    """Run Python code in a fresh interpreter, and return the JSON that it prints."""
    process = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(process.stdout)


def test_help_pages_and_wrong_options_import_no_large_library() -> None:
    codes, heavy = _run(_PRINT_PAGES, json.dumps(_WORDS))
    assert codes == [2 if _WRONG_OPTION in words else 0 for words in _WORDS]
    assert heavy == {" ".join(words): [] for words in _WORDS}


def test_importing_the_nodes_imports_no_large_library_that_the_host_has_not() -> None:
    assert _run(_IMPORT_NODES) == []
