"""How many floating-point operations per second a machine reaches at best: the yardstick for networks.

python -m benchmarks.speed.peak                     float32 and bfloat16
python -m benchmarks.speed.peak --dtype bfloat16
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F

from refldm_core.cli.arguments.model import DTYPES
from refldm_core.cli.options import choose_device
from refldm_core.errors import ReFLDMError

from ..common.measuring import count_flops, machine, measure_seconds

Work = tuple[str, Callable[[], Any]]


def peak_flops(dtype: torch.dtype, device: torch.device | str, *, tiny: bool = False, repeats: int = 5) -> float:
    """Return the highest rate of torch's large matrix products and convolutions, in operations per second.

    The arguments are those of `rates`.
    """
    return max(rates(dtype, device, tiny=tiny, repeats=repeats).values())


@torch.no_grad()
def rates(dtype: torch.dtype, device: torch.device | str, *, tiny: bool = False, repeats: int = 5) -> dict[str, float]:
    """Return the rate of each workload: name -> operations per second in its fastest run.

    Args:
        dtype: number type to compute in.
        device: device to compute on.
        tiny: whether the workloads are small, to try the code.
        repeats: runs of each workload.
    """
    fastest: dict[str, float] = {}
    for name, work in _workloads(dtype, torch.device(device), tiny):
        flops = count_flops(work)  # this first run also allocates memory and chooses kernels
        fastest[name] = flops / min(measure_seconds(work, device) for _ in range(repeats))
    return fastest


def _workloads(dtype: torch.dtype, device: torch.device, tiny: bool) -> Iterator[Work]:
    """Yield the workloads one after the other, so that only the tensors of one are in memory."""
    on_gpu = device.type == "cuda"
    make: dict[str, Any] = {"dtype": dtype, "device": device}
    for side in (256,) if tiny else (4096, 8192) if on_gpu else (2048, 3072):
        a, b = torch.randn(side, side, **make), torch.randn(side, side, **make)
        yield f"{side} x {side} matrices", lambda a=a, b=b: a @ b
    # (batch, channels, pixels along a side): sizes from the two networks, in batches that fill the device.
    large = ((16, 512, 64), (16, 256, 128)) if on_gpu else ((1, 512, 64), (1, 256, 128), (1, 128, 256))
    for batch, channels, side in ((1, 64, 32),) if tiny else large:
        for layout in (torch.channels_last, torch.contiguous_format):
            x = torch.randn(batch, channels, side, side, **make).to(memory_format=layout)
            weight = torch.randn(channels, channels, 3, 3, **make).to(memory_format=layout)
            name = f"{batch} x {channels} x {side} x {side}, 3x3, {str(layout).removeprefix('torch.')}"
            yield name, lambda x=x, weight=weight: F.conv2d(x, weight, padding=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", choices=DTYPES, nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--tiny", action="store_true", help="use small workloads, to try the code")
    args = parser.parse_args()
    try:
        device = choose_device(args.device)
    except ReFLDMError as error:
        parser.exit(2, f"{error}\n")
    print(f"{machine(device)}, torch {torch.__version__}")
    for dtype in args.dtype:
        for name, rate in rates(getattr(torch, dtype), device, tiny=args.tiny).items():
            print(f"{dtype:9} {rate / 1e12:8.3f} TFLOP/s  {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
