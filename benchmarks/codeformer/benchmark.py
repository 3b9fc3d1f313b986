"""Seconds of restoring a face, beside CodeFormer's on the same machine in the same run.

python -m benchmarks.codeformer --output C.md     the released architectures with random weights, 512 px
python -m benchmarks.codeformer --steps 6         our restorer with 6 sampling steps
python -m benchmarks.codeformer --tiny            a small model of ours, to try the code

CodeFormer (arXiv 2206.11253) is a blind face restorer that people use for its speed: it needs one pass and no
references. For an album of one person, the references are encoded only once, so our restorer is timed without and with
encoding them. Only times are compared, which random weights do not change. Every round runs all restorers; the first
round only warms up. This needs spandrel's extra architectures: pip install spandrel_extra_arches (MIT; the code of
CodeFormer in it is for non-commercial use).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.cli.arguments.model import DTYPES
from refldm_core.cli.options import choose_device, choose_dtype
from refldm_core.errors import SettingsError
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.variants import RELEASED
from refldm_core.pipeline import PUBLISHED_SEED, Restorer, SamplingSettings
from refldm_core.presets import PRESETS

from ..common.measuring import TINY, machine, measure_seconds, open_restorer, pictures
from ..common.reporting import run_and_report

Restorations = Mapping[str, Callable[[], Any]]
"""Name -> function that restores one face."""

CODEFORMER_SIZE = 512
"""Pixels. Its learned positional embedding fits no other size."""


def main() -> int:
    args = _parser().parse_args()

    def make() -> str:
        device = choose_device(args.device)
        dtype = choose_dtype(args.dtype, device)
        restorations = {**codeformer_restorations(device), **our_restorations(args, device, dtype)}
        return render(time_rounds(restorations, args.repeats, device), args, device)

    return run_and_report(make, args.output)


def fast_settings(steps: int | None) -> SamplingSettings:
    """Return the settings of the preset `fast`, with another number of steps unless `steps` is None."""
    settings = PRESETS["fast"].settings
    return replace(settings, steps=steps or settings.steps)


def codeformer_restorations(device: torch.device) -> Restorations:
    """Return restorations by CodeFormer in float32 and in bfloat16.

    Raises:
        SettingsError: spandrel's extra architectures are not installed.
    """
    try:
        # Imported by name, so that type checkers do not need an optional package.
        architecture = import_module("spandrel_extra_arches.architectures.CodeFormer").CodeFormer
    except ImportError as error:
        raise SettingsError(
            f"CodeFormer's architecture is not installed ({error}).",
            expected="the package spandrel_extra_arches",
            remedy="pip install spandrel_extra_arches",
        ) from error
    lq, _ = pictures(CODEFORMER_SIZE, 1)

    def restoration(dtype: torch.dtype) -> Callable[[], Any]:
        network, picture = architecture().eval().requires_grad_(False).to(device, dtype), lq.to(device, dtype)
        if dtype == torch.float32:
            return lambda: network(picture)[0]
        # The memory layout of our networks in this type, so that each restorer is at its best.
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

        def restore() -> torch.Tensor:
            # The codebook look-up makes a float32 matrix, which autocast converts to the type of the weights.
            with torch.autocast(device.type, dtype):
                return network(picture)[0]

        return restore

    return {f"CodeFormer, {_name(dtype)}": restoration(dtype) for dtype in (torch.float32, torch.bfloat16)}


def our_restorations(args: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> Restorations:
    """Return our whole restoration, with the references encoded before and with encoding them."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "random.safetensors"
        write_random_model(model, TINY if args.tiny else RELEASED)
        restorer = open_restorer(model, _name(dtype), str(device))
    lq, photos = pictures(restorer.spec.crop_size, args.references)
    references = restorer.encode_references(photos)
    settings = fast_settings(args.steps)
    name = f"ours, {settings.steps} steps, {_name(dtype)}"
    return {
        f"{name}, references encoded before": lambda: _restore(restorer, lq, references, settings),
        f"{name}, encoding {args.references} references": lambda: _restore(
            restorer, lq, restorer.encode_references(photos), settings
        ),
    }


def _restore(restorer: Restorer, lq: torch.Tensor, references: ReferenceKV, settings: SamplingSettings) -> torch.Tensor:
    return restorer.restore(lq, references, [PUBLISHED_SEED], settings)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@torch.inference_mode()
def time_rounds(restorations: Restorations, repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Return the seconds of each restoration in every round except the first."""
    seconds: dict[str, list[float]] = {name: [] for name in restorations}
    for number in range(repeats + 1):
        print(f"round {number} of {repeats} ...", file=sys.stderr, flush=True)
        for name, restore in restorations.items():
            elapsed = measure_seconds(restore, device)
            if number:
                seconds[name].append(elapsed)
    return seconds


def render(seconds: Mapping[str, list[float]], args: argparse.Namespace, device: torch.device) -> str:
    """Return the Markdown report. The first restoration is the baseline."""
    baseline = statistics.median(next(iter(seconds.values())))
    fastest = min(statistics.median(runs) for name, runs in seconds.items() if name.startswith("CodeFormer"))
    settings = fast_settings(args.steps)
    lines = [
        f"One face: CodeFormer at {CODEFORMER_SIZE} px, ours at {(TINY if args.tiny else RELEASED).crop_size} px with "
        f"{args.references} references and the preset fast ({settings.steps} {settings.sampler} steps, guidance "
        f"{settings.guidance:g}). Random weights. Medians of {args.repeats} rounds.",
        "",
        f"Machine: {machine(device)}. torch {torch.__version__}, {torch.get_num_threads()} threads.",
        "",
        "| | seconds | fastest and slowest | times CodeFormer's float32 | times the faster CodeFormer |",
        "|---|---|---|---|---|",
    ]
    for name, runs in seconds.items():
        median = statistics.median(runs)
        lines.append(
            f"| {name} | {median:.3g} | {min(runs):.3g} to {max(runs):.3g} | {median / baseline:.2f} "
            f"| {median / fastest:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.codeformer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--steps", type=int, help="sampling steps of our restorer (default: those of the preset)")
    parser.add_argument("--references", type=int, default=4, help="number of references (default: 4)")
    parser.add_argument("--repeats", type=int, default=5, help="number of rounds (default: 5)")
    parser.add_argument("--dtype", choices=("auto", *DTYPES), default="auto", help="our number type (default: auto)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--tiny", action="store_true", help="use a small model of ours")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    return parser
