"""Measure how long the help page of each command takes in a fresh process, and which large libraries it imports."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.fresh_process import ROOT
from benchmarks.common.reporting import run_and_report
from refldm_core.cli.main import COMMANDS
from refldm_core.evaluation.report import markdown_table

_LARGE = ("torch", "numpy", "scipy", "PIL", "cv2", "onnxruntime", "facexlib", "insightface", "accelerate")

_TIMED_RUNS = 5


def _seconds(words: Sequence[str]) -> float:
    """Return the median seconds of a command's process. An untimed run before it lets Python keep its bytecode."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    seconds: list[float] = []
    for _ in range(1 + _TIMED_RUNS):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "refldm_core", *words], capture_output=True, check=True, cwd=ROOT, env=environment
        )
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _imported_libraries(words: Sequence[str]) -> list[str]:
    """Return the names of the large libraries that a command imports before it ends."""
    code = (
        "import sys; from refldm_core.cli.main import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, cwd=ROOT)
    return [name for name in _LARGE if name in process.stderr.split()]


def render() -> str:
    rows = [["command", f"seconds (median of {_TIMED_RUNS})", "large libraries"]]
    for words in (["--help"], *([name, "--help"] for name in COMMANDS)):
        libraries = ", ".join(_imported_libraries(words)) or "none"
        rows.append([f"refldm {' '.join(words)}", f"{_seconds(words):.2f}", libraries])
    return "\n".join(markdown_table(rows))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start_up", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    args = parser.parse_args()
    return run_and_report(render, args.output)
