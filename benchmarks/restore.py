"""Seconds, peak memory and floating-point operations of restoring one face, against the published procedure.

python -m benchmarks.restore                              the released architecture with random weights
python -m benchmarks.restore --steps 10 --references 1    less of it
python -m benchmarks.restore --tiny                       seconds, to see that it works

Each variant runs in a process of its own, so that its peak memory is its own. Run it on a machine that does nothing
else. The random weights do not change the time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image
from skimage import data
from torch.utils.flop_counter import FlopCounterMode

from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.images import to_pil, to_tensor
from refldm_core.model.unet import UNet, UNetSpec
from refldm_core.model.variants import RELEASED, ModelSpec
from refldm_core.model.vqgan import FirstStage, FirstStageSpec
from refldm_core.pipeline import Restorer

from .published import make_published
from .stages import GUIDANCE, Stages

TINY = ModelSpec(
    UNetSpec(model_channels=32, num_res_blocks=1), FirstStageSpec(channels=32, num_res_blocks=1), latent_size=16
)

VARIANTS: dict[str, str] = {
    "published": "float32",
    "ours float32": "float32",
    "ours bfloat16": "bfloat16",
}
"""Name -> type of the U-Net. The first is the baseline."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, default=4)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3, help="of each stage; medians are reported")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="a small model")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    parser.add_argument("--save-pictures", type=Path, metavar="DIR", help="write each variant's restored picture")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.variant:
        print(json.dumps(measure(args)))
        return
    report = compare(args)
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(report, encoding="utf-8")
    print(report)


def compare(args: argparse.Namespace) -> str:
    """Run every variant in a process of its own; returns the Markdown report."""
    spec = TINY if args.tiny else RELEASED
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "random.safetensors"
        write_random_model(model, spec)
        results: dict[str, dict[str, Any]] = {}
        for variant in VARIANTS:
            print(f"measuring {variant} ...", file=sys.stderr, flush=True)
            words = [sys.executable, "-m", "benchmarks.restore", *sys.argv[1:]]
            words += ["--variant", variant, "--model", str(model)]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            results[variant] = json.loads(done.stdout)
    return render(args, spec, results)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """One variant: medians of the stages, one whole restoration, peak memory."""
    dtype = getattr(torch, VARIANTS[args.variant])
    loaded = load_model(args.model, dtype=dtype, device=args.device)
    restorer = Restorer(loaded.unet, loaded.first_stage, loaded.spec)
    lq, references = pictures(restorer.spec.crop_size, args.references)
    stages = Stages(restorer, args.variant.split()[0], lq.to(args.device), references.to(args.device))

    seconds: dict[str, float] = {}
    for name, stage in stages.all().items():
        timed(stage, args.device)  # the first run also allocates and chooses kernels
        seconds[name] = statistics.median(timed(stage, args.device) for _ in range(args.repeats))
    restored: list[torch.Tensor] = []
    whole = timed(lambda: restored.append(stages.whole(args.steps)), args.device)
    if args.save_pictures:
        args.save_pictures.mkdir(parents=True, exist_ok=True)
        to_pil(restored[0][0]).save(args.save_pictures / f"{args.variant}.png")
    return {"seconds": seconds, "whole": whole, "peak_bytes": peak_bytes(args.device)}


def timed(stage: Callable[[], Any], device: str) -> float:
    """Seconds of one run, the device's queue emptied before and after."""
    synchronise = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    synchronise()
    start = time.perf_counter()
    stage()
    synchronise()
    return time.perf_counter() - start


def pictures(size: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A real photo, degraded, and variations of it as references (scikit-image's NASA portrait, public domain)."""
    photo = Image.fromarray(np.asarray(data.astronaut())).crop((130, 0, 330, 200))
    lq = photo.resize((32, 32), Image.Resampling.BILINEAR)
    turned = [to_tensor(photo.rotate(4 * i - 8, Image.Resampling.BICUBIC), size) for i in range(count)]
    return to_tensor(lq, size).unsqueeze(0), torch.stack(turned)


def peak_bytes(device: str) -> int:
    """Largest memory that this process held: the GPU's where it computed there."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # noqa: PLC0415 (Windows has no such module)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def count_flops(spec: ModelSpec, variant: str, references: int) -> dict[str, int]:
    """Floating-point operations of each stage's matrix products and convolutions, counted without computing them."""
    with torch.device("meta"):
        restorer = Restorer(UNet(spec.unet), FirstStage(spec.first_stage), spec)
        size = spec.crop_size
        stages = Stages(restorer, variant, torch.empty(1, 3, size, size), torch.empty(references, 3, size, size))
        make_published(restorer)  # the counter does not know every fused kernel; the operations are the same
        counts: dict[str, int] = {}
        for name, stage in stages.all().items():
            with FlopCounterMode(display=False) as counter:
                stage()
            counts[name] = counter.get_total_flops()
    return counts


def render(args: argparse.Namespace, spec: ModelSpec, results: dict[str, dict[str, Any]]) -> str:
    baseline, *_ = results
    lines = [
        f"Restoring one face of {spec.crop_size} px: {args.references} references, {args.steps} DDIM steps, "
        f"guidance {GUIDANCE}.",
        "",
        f"Machine: {machine(args.device)}. torch {torch.__version__}, {torch.get_num_threads()} threads.",
        "",
        "| | " + " | ".join(results) + " |",
        "|---" * (len(results) + 1) + "|",
    ]
    flops = {variant: count_flops(spec, variant.split()[0], args.references) for variant in results}
    for name in results[baseline]["seconds"]:
        cells = [f"{r['seconds'][name]:.3g} s ({flops[v][name] / 1e12:.3g} TFLOP)" for v, r in results.items()]
        lines.append(f"| {name} (median) | " + " | ".join(cells) + " |")
    lines.append("| **whole, measured** | " + " | ".join(f"**{r['whole']:.4g} s**" for r in results.values()) + " |")
    speedups = [results[baseline]["whole"] / r["whole"] for r in results.values()]
    lines.append("| times as fast | " + " | ".join(f"{x:.2f}" for x in speedups) + " |")
    totals = [sum(n * (args.steps if name == "step" else 1) for name, n in flops[v].items()) for v in results]
    lines.append("| operations | " + " | ".join(f"{n / 1e12:.3g} TFLOP" for n in totals) + " |")
    lines.append("| peak memory | " + " | ".join(f"{r['peak_bytes'] / 1e9:.2f} GB" for r in results.values()) + " |")
    return "\n".join(lines) + "\n"


def machine(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} cores, {torch.backends.cpu.get_cpu_capability()}"


if __name__ == "__main__":
    main()
