"""Seconds, operations, memory and accuracy of restoring one face, against the published procedure.

python -m benchmarks.speed --output R.md --json R.json   the released architecture with random weights
python -m benchmarks.speed --steps 10 --references 1     fewer steps and references
python -m benchmarks.speed --model embedded              a real model, to compare the restored pictures
python -m benchmarks.speed --tiny                        a small model that takes seconds, to try the code

Each variant runs in processes of its own, so that its peak memory is its own. Every round runs all variants, so that a
machine that slows down slows all of them; medians are reported. The same processes count the operations and measure the
machine's peak rate. Run this on a machine that does nothing else. Random weights do not change the time, but they
restore noise, which does not show how much variants differ on real faces.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.cli.options import choose_device, model_path
from refldm_core.images import save_image
from refldm_core.model.variants import RELEASED

from ..common.fresh_process import Job, Values, run_fresh, serve
from ..common.measuring import TINY, count_flops, machine, measure_seconds, open_restorer, peak_bytes, pictures
from ..common.reporting import run_and_report, write
from .peak import peak_flops
from .report import Levels, VariantResult, render
from .stages import GUIDANCE, Procedure, Stages

VARIANTS: dict[str, tuple[Procedure, str]] = {
    "published": ("published", "float32"),
    "ours float32": ("ours", "float32"),
    "ours bfloat16": ("ours", "bfloat16"),
}
"""Name -> procedure and number type. The first is the baseline."""


def main() -> int:
    args = _parser().parse_args()
    if args.job:
        return serve(args.job, measure)

    def make() -> str:
        results, levels = measure_variants(args)
        if args.json:
            write(args.json, json.dumps({name: asdict(result) for name, result in results.items()}, indent=1) + "\n")
        return render(results, levels, describe_run(args, results))

    return run_and_report(make, args.output, args.json)


def measure_variants(args: argparse.Namespace) -> tuple[dict[str, VariantResult], dict[str, Levels]]:
    """Run every variant in every round.

    Returns:
        The measurements of each variant, and its restored picture.

    Raises:
        ReFLDMError: the device or the model does not exist, or a process failed.
    """
    device = str(choose_device(args.device))
    results: dict[str, VariantResult] = {}
    levels: dict[str, Levels] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "random.safetensors"
        if args.model:
            model = model_path(args.model).resolve()
        else:
            write_random_model(model, TINY if args.tiny else RELEASED)
        for number in range(1, args.rounds + 1):
            for name, (procedure, dtype) in VARIANTS.items():
                print(f"round {number} of {args.rounds}: {name} ...", file=sys.stderr, flush=True)
                job: Job = {
                    "procedure": procedure,
                    "dtype": dtype,
                    "model": str(model),
                    "device": device,
                    "picture": str(Path(folder) / f"{name}.npy"),
                    **{key: getattr(args, key) for key in ("references", "steps", "repeats", "tiny")},
                }
                values = run_fresh("benchmarks.speed", job).require()
                result = VariantResult(dtype=dtype, steps=args.steps, **values)
                results[name] = results[name].merged(result) if name in results else result
                levels[name] = np.load(job["picture"])
    if args.save_pictures:
        args.save_pictures.mkdir(parents=True, exist_ok=True)
        for name, picture in levels.items():
            save_image(Image.fromarray(picture.round().astype(np.uint8)), args.save_pictures / f"{name}.png")
    return results, levels


def measure(job: Job) -> Iterator[Values]:
    """Measure one variant: stages, one whole restoration, peak memory; then operations, and the machine's peak rate."""
    device = job["device"]
    restorer = open_restorer(job["model"], job["dtype"], device)
    lq, references = pictures(restorer.spec.crop_size, job["references"])
    stages = Stages(restorer, job["procedure"], lq.to(device), references.to(device))
    seconds: dict[str, list[float]] = {}
    for name, stage in stages.all().items():
        stage()  # the first run also allocates memory and chooses kernels
        seconds[name] = [measure_seconds(stage, device) for _ in range(job["repeats"])]
    restored: list[Tensor] = []
    whole_seconds = measure_seconds(lambda: restored.append(stages.whole(job["steps"])), device)
    yield {"crop_size": restorer.spec.crop_size, "seconds": seconds, "whole": [whole_seconds]}
    yield {"peak_bytes": peak_bytes(device)}  # read before operations are counted, which keeps tensors longer
    np.save(job["picture"], gray_levels(restored[0]))
    yield {"flops": {name: count_flops(stage) for name, stage in stages.all().items()}}
    yield {"peak_flops": peak_flops(restorer.dtype, device, tiny=job["tiny"])}


def gray_levels(picture: Tensor) -> Levels:
    """Convert (1, 3, h, w) in about [-1, 1] to (h, w, 3) in 0..255, clamped, not rounded."""
    return ((picture[0].clamp(-1, 1) + 1) * 127.5).movedim(0, -1).cpu().numpy()


def describe_run(args: argparse.Namespace, results: dict[str, VariantResult]) -> list[str]:
    """Return the paragraphs at the head of the report: the work, the weights and the machine."""
    device = choose_device(args.device)
    size = next(iter(results.values())).crop_size
    weights = f"the model {args.model.name}" if args.model else "random weights"
    return [
        f"Restoring one face of {size} px: {args.references} references, {args.steps} DDIM steps, guidance {GUIDANCE}; "
        f"{weights}. Medians over {args.rounds} rounds.",
        f"Machine: {machine(device)}. torch {torch.__version__}, {torch.get_num_threads()} threads.",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--references", type=int, default=4, help="number of references (default: 4)")
    parser.add_argument("--steps", type=int, default=50, help="sampling steps (default: 50)")
    parser.add_argument("--rounds", type=int, default=3, help="number of processes for each variant (default: 3)")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each stage in each process (default: 2)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help='checkpoint, or "embedded" (default: random weights)'
    )
    parser.add_argument("--tiny", action="store_true", help="use a small model")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--json", type=Path, metavar="FILE", help="JSON file of all measurements to write")
    parser.add_argument(
        "--save-pictures", type=Path, metavar="DIR", help="folder for the restored picture of each variant"
    )
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser
