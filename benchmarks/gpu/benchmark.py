"""Seconds and memory of a restoration on one GPU, eager, compiled and as CUDA graphs, beside targets and predictions.

python -m benchmarks.gpu --output G.md             the released architecture with random weights, bfloat16
python -m benchmarks.gpu --modes eager default     without CUDA graphs
python -m benchmarks.gpu --device cpu --tiny --modes eager --steps 2     try the code without a GPU

Each mode starts in two fresh processes: the first without the compiler's files, the second with the files of the first.
Both measure the time from the start of the process to the first restored face, which is what a user waits for. After
warm-up, the first process also measures one face, several at once, and steps with 1 and with 8 references.

The predictions are those of the simulated GPU (benchmarks/common/simulated_gpu.py): the peak memory, and that no
sampling step waits for the GPU. Where a figure of a real GPU differs, the simulation or the code needs a correction.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.cli.arguments.model import DTYPES
from refldm_core.errors import ReFLDMError, SettingsError
from refldm_core.model.compiling import compile_unet
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNet
from refldm_core.model.variants import RELEASED
from refldm_core.pipeline import PUBLISHED_SEED, Restorer, SamplingSettings
from refldm_core.progress import Step

from ..common.fresh_process import Job, Values, run_fresh, serve
from ..common.measuring import TINY, StepClock, machine, measure_seconds, open_restorer, peak_bytes, pictures
from ..common.reporting import run_and_report, write
from ..memory.benchmark import simulate_restoration
from .report import Predictions, render

MODES = ("eager", "default", "reduce-overhead")
"""Modes of the U-Net: "eager", and those of torch.compile. On a GPU, "reduce-overhead" uses CUDA graphs."""

REFERENCE_COUNTS = (1, 8)
"""Numbers of references whose steps are compared."""

_COUNTED_STEPS = 5
"""Sampling steps in which waits for the GPU are counted."""


def main() -> int:
    args = _parser().parse_args()
    if args.job:
        return serve(args.job, measure)

    def make() -> str:
        require_gpu(args.device)
        measured = measure_modes(args)
        judged = args.device == "cuda" and not args.tiny
        if args.json:
            write(args.json, json.dumps(measured, indent=1) + "\n")
        return render(
            measured,
            args.steps,
            args.references,
            args.batch,
            describe_run(args),
            predictions=predict(args),
            judged=judged,
        )

    return run_and_report(make, args.output, args.json)


def require_gpu(device: str) -> None:
    """Check that the device exists.

    Raises:
        SettingsError: the device is a GPU, and PyTorch sees none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "This benchmark measures a CUDA GPU, and PyTorch sees none.",
            expected="an NVIDIA GPU with its driver, and a PyTorch build for CUDA",
            remedy="run it on such a machine, or use --device cpu --tiny to try the code without a GPU",
        )


def predict(args: argparse.Namespace) -> Predictions:
    """Return what the simulated GPU predicts for the workload."""
    spec, dtype = TINY if args.tiny else RELEASED, getattr(torch, args.dtype)
    one_face, batch = (simulate_restoration(spec, dtype, args.references, faces).peak for faces in (1, args.batch))
    return Predictions(one_face, max(one_face, batch))


def compile_or_refuse(unet: UNet, mode: str) -> None:
    """Compile a U-Net in place. torch compiles at the first call of the U-Net.

    Args:
        unet: the U-Net.
        mode: mode of torch.compile.

    Raises:
        ReFLDMError: at that call, if it cannot be compiled. An uncompiled U-Net would measure something else.
    """

    def refuse(problem: str) -> None:
        raise ReFLDMError(problem, expected="a U-Net that can be compiled", remedy="omit this mode from --modes")

    compile_unet(unet, mode=mode, on_failure=refuse)


def describe_run(args: argparse.Namespace) -> list[str]:
    """Return the paragraphs at the head of the report: the work, the weights and the machine."""
    size = (TINY if args.tiny else RELEASED).crop_size
    return [
        f"Faces of {size} px, random weights, {args.dtype}, {args.references} references, {args.steps} guided DDIM "
        f"steps; medians of {args.repeats} runs after warm-up.",
        f"Machine: {machine(args.device)}. torch {torch.__version__}.",
    ]


def measure_modes(args: argparse.Namespace) -> dict[str, Values]:
    """Measure each mode: mode -> values, and "failure" if a process failed. The other modes continue."""
    measured: dict[str, Values] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "random.safetensors"
        write_random_model(model, TINY if args.tiny else RELEASED)
        for mode in args.modes:
            print(f"{mode} ...", file=sys.stderr, flush=True)
            # Each mode has its own cache, so that nothing is compiled in advance.
            caches = {name: str(Path(folder) / mode / name) for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")}
            keys = ("device", "dtype", "steps", "references", "batch", "repeats")
            job: Job = {"mode": mode, "model": str(model), **{key: getattr(args, key) for key in keys}}
            outcome = run_fresh("benchmarks.gpu", {**job, "started": time.time()}, {**os.environ, **caches})
            measured[mode] = outcome.values
            if outcome.failure:
                measured[mode]["failure"] = outcome.failure
                continue
            second_job = {**job, "started": time.time(), "first_only": True}
            outcome = run_fresh("benchmarks.gpu", second_job, {**os.environ, **caches})
            measured[mode]["first_again"] = outcome.values.get("first")
    return measured


def measure(job: Job) -> Iterator[Values]:
    """Measure one mode in this process."""
    device, repeats = job["device"], job["repeats"]
    settings = SamplingSettings(job["steps"])
    restorer = open_restorer(job["model"], job["dtype"], device)
    if job["mode"] != "eager":
        compile_or_refuse(restorer.unet, job["mode"])
    lq, photos = pictures(restorer.spec.crop_size, job["references"])
    lq, photos = lq.to(device), photos.to(device)

    def restore(crops: Tensor, references: ReferenceKV) -> Tensor:
        return restorer.restore(crops, references, range(PUBLISHED_SEED, PUBLISHED_SEED + len(crops)), settings)

    references = restorer.encode_references(photos)
    restore(lq, references).cpu()  # a user sees the picture only when it is on the CPU
    yield {"first": time.time() - job["started"]}
    if job.get("first_only"):
        return

    def median(crops: Tensor) -> float:
        for _ in range(2):  # CUDA graphs are recorded at the second call
            restore(crops, references)
        return statistics.median(measure_seconds(lambda: restore(crops, references), device) for _ in range(repeats))

    one_face = median(lq)
    encoding = [measure_seconds(lambda: restorer.encode_references(photos), device) for _ in range(repeats)]
    yield {"one": one_face, "encode_references": statistics.median(encoding), "peak_bytes": peak_bytes(device)}
    if torch.device(device).type == "cuda":
        yield {"waits": count_waits(restorer, lq, references)}
    yield {"steps": {str(count): seconds_per_step(restorer, count, settings, repeats) for count in REFERENCE_COUNTS}}
    yield {"batch": median(lq.repeat(job["batch"], 1, 1, 1)), "batch_peak_bytes": peak_bytes(device)}


class _WaitsAtSteps:
    """An `OnStep` that records how many warnings there were at the end of each step."""

    def __init__(self, caught: list[warnings.WarningMessage]) -> None:
        self._caught = caught
        self.totals: list[int] = []

    def __call__(self, step: Step) -> None:
        self.totals.append(sum("synchroniz" in str(warning.message) for warning in self._caught))


def count_waits(restorer: Restorer, lq: Tensor, references: ReferenceKV) -> int:
    """Return how often the CPU waits for a CUDA GPU in the sampling steps after the first.

    PyTorch warns of each operation that waits. The simulated GPU predicts none (tests/fake_gpu/test_restoring.py).
    """
    latent = restorer.encode(lq)
    earlier_mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        waits = _WaitsAtSteps(caught)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            restorer.sample(latent, references, [PUBLISHED_SEED], SamplingSettings(_COUNTED_STEPS), waits)
        finally:
            torch.cuda.set_sync_debug_mode(earlier_mode)
    return waits.totals[-1] - waits.totals[0]


def seconds_per_step(restorer: Restorer, references: int, settings: SamplingSettings, repeats: int) -> float:
    """Return the median seconds of a guided step for one face with a number of references."""
    spec = restorer.spec
    shape = (1, spec.unet.out_channels, spec.latent_size, spec.latent_size)
    latent = torch.randn(shape, device=restorer.device)
    with torch.no_grad():
        reference = restorer.unet.encode_references(latent.to(restorer.dtype))
    kv = ReferenceKV.concat([reference] * references)
    seconds: list[float] = []
    for run in range(2 + repeats):
        clock = StepClock(restorer.device)
        restorer.sample(latent, kv, [PUBLISHED_SEED], settings, clock)
        seconds += clock.seconds() if run >= 2 else []
    return statistics.median(seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="modes (default: all)")
    parser.add_argument("--references", type=int, default=4, help="number of references (default: 4)")
    parser.add_argument("--steps", type=int, default=50, help="sampling steps (default: 50)")
    parser.add_argument("--batch", type=int, default=8, help="faces at once, compared with one by one (default: 8)")
    parser.add_argument("--repeats", type=int, default=5, help="runs, whose median is reported (default: 5)")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu is for trying the code")
    parser.add_argument("--tiny", action="store_true", help="use a small model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="JSON file of all measurements to write")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser
