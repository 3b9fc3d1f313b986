"""Seconds and memory of a restoration, against the number of references, steps and faces at once, and the size.

python -m benchmarks.scaling --json S.json --output S.md --plot S.png   all four axes, the released architecture
python -m benchmarks.scaling ... --resume                               only the points that are not in S.json
python -m benchmarks.scaling --axis references --quick                  one axis, in minutes
python -m benchmarks.scaling --tiny --quick                             a small model, to try the code

Each point is measured in a fresh process, so that its peak memory is its own. Weights are random, which does not change
the time. A point that runs out of memory is reported as such, and the benchmark continues with the other points. The
file of --json is written after each point.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import torch

from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.cli.arguments.model import DTYPES
from refldm_core.cli.options import choose_device, choose_dtype
from refldm_core.diffusion.settings import ReferenceTokens
from refldm_core.errors import SettingsError
from refldm_core.files import atomic_write
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.variants import RELEASED
from refldm_core.pipeline import SamplingSettings

from ..common.fresh_process import Job, Values, run_fresh, serve
from ..common.measuring import TINY, StepClock, machine, measure_seconds, open_restorer, peak_bytes, pictures
from ..common.reporting import run_and_report, write
from .report import AXES, Point, Scaling, draw, render

FULL: dict[str, tuple[float, ...]] = {
    "references": (1, 2, 4, 8),
    "steps": (5, 10, 20, 50),
    "batch": (1, 2, 4, 8, 16),
    "size": (0.5, 1, 1.5, 2),
}
"""Axis -> values. Those of "size" are factors of the size that the model was trained for."""
QUICK: dict[str, tuple[float, ...]] = {"references": (1, 8), "steps": (2, 4), "batch": (1, 2), "size": (0.5, 1)}


def main() -> int:
    args = _parser().parse_args()
    if args.job:
        return serve(args.job, measure)

    def make() -> str:
        scaling = measure_points(args)
        if args.plot:
            with atomic_write(args.plot) as temporary:
                draw(scaling).savefig(temporary, format=args.plot.suffix[1:] or "png", dpi=110)
        return render(scaling)

    return run_and_report(make, args.output, args.json, args.plot)


def measure_points(args: argparse.Namespace) -> Scaling:
    """Measure the points of the chosen axes.

    Raises:
        ReFLDMError: the device does not exist, or the file to resume has other settings.
    """
    device = choose_device(args.device)
    spec = TINY if args.tiny else RELEASED
    steps = args.steps or (2 if args.quick else 10)
    settings: dict[str, str | int] = {
        "machine": machine(device),
        "torch": torch.__version__,
        "dtype": str(choose_dtype(args.dtype, device)).removeprefix("torch."),
        "device": str(device),
        "repeats": args.repeats or (1 if args.quick else 3),
        "tiny": args.tiny,
    }
    if args.reference_tokens != "all":  # earlier files do not say that they have all
        settings["reference_tokens"] = args.reference_tokens
    base = Point(references=args.references, steps=steps, batch=1, size=spec.crop_size)
    scaling = Scaling(settings, base, chosen_axes(base, args.axis, args.quick))
    if args.resume and args.json and args.json.exists():
        scaling.measured |= _read(args.json, settings)
    missing = [point for point in scaling.points() if point not in scaling.measured]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "random.safetensors"
        write_random_model(model, spec)
        for number, point in enumerate(missing, 1):
            print(f"{number} of {len(missing)}: {point} ...", file=sys.stderr, flush=True)
            outcome = run_fresh("benchmarks.scaling", {**asdict(point), **settings, "model": str(model)})
            scaling.measured[point] = outcome.values | ({"failure": outcome.failure} if outcome.failure else {})
            if args.json:
                write(args.json, json.dumps(scaling.data(), indent=1) + "\n")
    return scaling


def chosen_axes(base: Point, names: list[str], quick: bool) -> dict[str, list[Point]]:
    """Return axis -> its points, which differ from the base only in the value of that axis."""
    values = QUICK if quick else FULL
    return {
        name: [base.at(name, round(base.size * value) if name == "size" else int(value)) for value in values[name]]
        for name in names
    }


def measure(job: Job) -> Iterator[Values]:
    """Measure one point: first guided steps, then a whole restoration, which takes more memory."""
    device, steps, batch, size = job["device"], job["steps"], job["batch"], job["size"]
    sampling = SamplingSettings(steps, reference_tokens=job.get("reference_tokens", "all"))
    restorer = open_restorer(job["model"], job["dtype"], device)
    spec = restorer.spec
    latent = (spec.unet.out_channels, size // spec.first_stage.downsampling, size // spec.first_stage.downsampling)
    seeds = list(range(batch))
    yield {"loaded_peak_bytes": peak_bytes(device)}

    with torch.no_grad():
        # Only one reference is encoded, so that the peak is that of the step. Latents' values do not change the time.
        reference = restorer.unet.encode_references(torch.randn(1, *latent, device=device, dtype=restorer.dtype))
    references = ReferenceKV.concat([reference] * job["references"])
    clock = StepClock(device)
    lq_latents = torch.randn(batch, *latent, device=device)
    restorer.sample(lq_latents, references, seeds, replace(sampling, steps=max(3, job["repeats"]) + 1), clock)
    yield {"step": statistics.median(clock.seconds()), "step_peak_bytes": peak_bytes(device)}

    lq, photos = pictures(size, job["references"])
    crops = lq.expand(batch, -1, -1, -1)
    encoding: list[float] = []
    restoring: list[float] = []
    for _ in range(job["repeats"]):
        encoded: list[ReferenceKV] = []
        encoding.append(measure_seconds(lambda: encoded.append(restorer.encode_references(photos)), device))  # noqa: B023
        restoring.append(
            measure_seconds(lambda: restorer.restore(crops, encoded[0], seeds, sampling), device)  # noqa: B023
        )
    yield {
        "encode_references": statistics.median(encoding),
        "restore": statistics.median(restoring),
        "whole": statistics.median([a + b for a, b in zip(encoding, restoring, strict=True)]),
        "whole_peak_bytes": peak_bytes(device),
    }


def _read(path: Path, settings: Mapping[str, object]) -> dict[Point, Values]:
    """Read the points of an earlier run with the same settings.

    Raises:
        SettingsError: the file cannot be read, or its settings differ.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        points = {Point(**entry["point"]): dict(entry["values"]) for entry in data["points"]}
        is_same = data["settings"] == settings
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} cannot be read as a file of points ({error!r}).",
            expected="a file that this benchmark wrote with --json",
            remedy="name another file, or omit --resume",
        ) from error
    if not is_same:
        raise SettingsError(
            f"{path} was measured with other settings or on another machine: {data['settings']}.",
            expected=f"{settings}",
            remedy="use the options of that run, or omit --resume",
        )
    return points


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--axis", nargs="+", choices=AXES, default=list(AXES), help="axes to measure (default: all)")
    parser.add_argument("--references", type=int, default=4, help="references at points of other axes (default: 4)")
    parser.add_argument("--steps", type=int, help="steps at points of other axes (default: 10; 2 with --quick)")
    parser.add_argument("--repeats", type=int, help="runs, whose median is reported (default: 3; 1 with --quick)")
    parser.add_argument(
        "--reference-tokens", choices=get_args(ReferenceTokens), default="all", help="tokens kept (default: all)"
    )
    parser.add_argument("--dtype", choices=("auto", *DTYPES), default="auto", help="type to compute in (default: auto)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--quick", action="store_true", help="measure few points")
    parser.add_argument("--tiny", action="store_true", help="use a small model")
    parser.add_argument("--resume", action="store_true", help="keep the points that the file of --json already has")
    parser.add_argument("--json", type=Path, metavar="FILE", help="JSON file of all points to write")
    parser.add_argument("--output", type=Path, metavar="FILE", help="Markdown file to write")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="picture of seconds and memory to write")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser
