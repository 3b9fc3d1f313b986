"""Measure the seconds of restoring an album of ten photos by stage, in this checkout and in an earlier one.

python -m benchmarks.album --output report.md                      this checkout
python -m benchmarks.album --before FOLDER --output report.md      and another checkout, in turn with this one

`git worktree add FOLDER COMMIT` makes the other checkout. The embedded models restore the album, as `refldm restore`
does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from refldm_core import embedded
from refldm_core.errors import ReFLDMError
from refldm_core.evaluation.report import markdown_table

from ..common.fresh_process import ROOT
from ..common.measuring import machine
from ..common.reporting import run_and_report
from .pictures import PEOPLE, people_options, write_album
from .stages import DETECTION, NETWORK

_RUN = Path(__file__).with_name("run.py")
_PRESET = "fast"

Seconds = Mapping[str, float]
"""Stage -> seconds."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.album", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="an earlier checkout of this project")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each checkout (default: 3)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    args = parser.parse_args(argv)
    return run_and_report(lambda: measure(args.before, args.runs), args.output)


def measure(before: Path | None, runs: int) -> str:
    """Restore the album `runs` times with each checkout, in turn, and return the report.

    Raises:
        ReFLDMError: a run failed.
    """
    checkouts = {"before": before.resolve(), "now": ROOT} if before else {"now": ROOT}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    with TemporaryDirectory() as folder:
        album = Path(folder) / "album"
        album.mkdir()
        write_album(album)
        for _ in range(runs):
            for name, checkout in checkouts.items():
                results[name].append(_restore(checkout, album, Path(folder)))
    medians = {
        f"{name}, {kind}": _medians([run[kind] for run in outcomes])
        for name, outcomes in results.items()
        for kind in ("wall", "processor")
    }
    return report(medians, runs)


def _restore(checkout: Path, album: Path, folder: Path) -> dict[str, Any]:
    """Restore the album in a fresh process with the code of a checkout."""
    with TemporaryDirectory(dir=folder) as results:
        models = ["--model", str(embedded.RESTORER), "--detector", embedded.NAME, "--recognizer", embedded.NAME]
        options = ["--preset", _PRESET, "--strangers", "restore", "--skip-empty", "--quiet"]
        arguments = ["restore", str(album), *models, *people_options(), *options, "--output", results]
        job = json.dumps({"arguments": arguments, "started": time.time()})
        completed = subprocess.run(
            [sys.executable, str(_RUN), job],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=False,
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )
        lines = [line for line in completed.stdout.splitlines() if line.startswith("{")]
        if completed.returncode or not lines or len(list(Path(results).iterdir())) != len(list(album.iterdir())):
            raise ReFLDMError(
                f"Restoring the album with {checkout} failed (exit code {completed.returncode}).",
                expected="ten restored photos",
                remedy="read the message of that process above",
            )
        values: dict[str, Any] = json.loads(lines[-1])
        if not Path(values["code"]).is_relative_to(checkout):
            raise ReFLDMError(
                f"The process imported {values['code']}.",
                expected=f"the code in {checkout}",
                remedy="run the benchmark without a PYTHONPATH of your own",
            )
        return values


def _medians(runs: Sequence[Seconds]) -> dict[str, float]:
    stages = dict.fromkeys(stage for run in runs for stage in run)
    return {stage: statistics.median(run.get(stage, 0.0) for run in runs) for stage in stages}


def report(medians: Mapping[str, Seconds], runs: int) -> str:
    """Return the report of the median seconds: column -> stage -> seconds."""
    headings = ["stage", *medians]
    all_stages = {stage for seconds in medians.values() for stage in seconds}
    stages = sorted(all_stages, key=lambda stage: (stage in NETWORK, stage))
    rows = [[stage, *(f"{seconds.get(stage, 0.0):.2f}" for seconds in medians.values())] for stage in stages]
    sums = [
        ("all detection", [stage for stage in stages if stage.startswith(DETECTION)]),
        ("the restorer's network", list(NETWORK)),
        ("**not the network**", [stage for stage in stages if stage not in NETWORK]),
        ("everything", stages),
    ]
    rows += [
        [name, *(f"{sum(seconds.get(stage, 0.0) for stage in members):.2f}" for seconds in medians.values())]
        for name, members in sums
    ]
    lines = [
        "# An album of ten photos",
        "",
        f"Machine: {machine('cpu')}, torch {torch.__version__}. Other jobs kept it busy at the same time, so the "
        "processor seconds tell more than the wall seconds.",
        "",
        f"Median of {runs} run{'s' * (runs > 1)} of each checkout, in turn, each in a fresh process. `refldm restore` "
        f"restored all faces with the embedded models, the preset {_PRESET} and references of {PEOPLE} people.",
        "",
        "The photos are no camera's. They are this project's rendered sample photos, enlarged, with grain, as JPEG "
        "files: a group of 4608x2592 pixels, a portrait of 3072x3840, a group of 1920x1080 and seven portraits of "
        "1024x1280.",
        "",
        *markdown_table([headings, *rows]),
        "",
        "Detection searches the photos of the album and the reference photos.",
        "",
    ]
    return "\n".join(lines)
