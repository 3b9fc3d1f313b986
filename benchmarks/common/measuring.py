"""Shared by the benchmarks: seconds, memory and operations of work, the machine's name, and pictures to restore."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image
from skimage import data
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from refldm_core.checkpoints.building import load_model
from refldm_core.images import to_tensor
from refldm_core.model.unet import UNetSpec
from refldm_core.model.variants import ModelSpec
from refldm_core.model.vqgan import FirstStageSpec
from refldm_core.pipeline import Restorer
from refldm_core.progress import Step

TINY = ModelSpec(
    UNetSpec(model_channels=32, num_res_blocks=1), FirstStageSpec(channels=32, num_res_blocks=1), latent_size=16
)
"""A model for faces of 128 px that runs in moments."""


def synchronize(device: torch.device | str) -> None:
    """Wait until a device has finished its queue."""
    device_type = torch.device(device).type
    if device_type != "cpu":
        getattr(torch, device_type).synchronize()


def measure_seconds(work: Callable[[], Any], device: torch.device | str) -> float:
    """Return the seconds of one run. The device's queue is empty before it starts and when it ends."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


class StepClock:
    """An `OnStep` that times sampling steps, except the first, which also allocates memory and chooses kernels."""

    def __init__(self, device: torch.device | str) -> None:
        self._on_gpu = torch.device(device).type == "cuda"
        self._device = device
        self._ends: list[Any] = []

    def __call__(self, step: Step) -> None:
        if self._on_gpu:
            # Waiting for the GPU here would keep the CPU from preparing the next step meanwhile.
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._ends.append(event)
        else:
            synchronize(self._device)
            self._ends.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Return the seconds of each step from the second on."""
        synchronize(self._device)
        pairs = zip(self._ends[:-1], self._ends[1:], strict=True)
        return [start.elapsed_time(end) / 1000 if self._on_gpu else end - start for start, end in pairs]


def peak_bytes(device: torch.device | str) -> int:
    """Return the peak memory of this process in bytes: GPU memory if the device is a GPU, else main memory."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # noqa: PLC0415 (Windows has no such module)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def count_flops(work: Callable[[], Any]) -> int:
    """Count the floating-point operations of matrix products and convolutions: two for each multiply-add.

    The work runs on real tensors instead of meta tensors, because some of it is skipped depending on values.
    """
    # torch's counter knows the fused attention of GPUs, but not that of CPUs.
    kernels = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with FlopCounterMode(display=False, custom_mapping=kernels) as counter:
        work()
    return counter.get_total_flops()


def _attention_flops(q: torch.Size, k: torch.Size, v: torch.Size, *_: Any, **__: Any) -> int:
    """Count the operations of attention, given shapes (batch, heads, tokens, head channels)."""
    return sdpa_flop_count(q, k, v)


def machine(device: torch.device | str) -> str:
    """Return the device's name; for a CPU also the number of threads in use and its widest vector instructions."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} cores, {torch.backends.cpu.get_cpu_capability()}"


def pictures(size: int, count: int) -> tuple[Tensor, Tensor]:
    """Return a degraded photo, and rotated copies of the photo as references.

    The photo is the NASA portrait of scikit-image, which is in the public domain.

    Args:
        size: height and width in pixels.
        count: number of references.

    Returns:
        The degraded photo (1, 3, size, size) and the references (count, 3, size, size), in [-1, 1].
    """
    photo = Image.fromarray(np.asarray(data.astronaut())).crop((130, 0, 330, 200))
    lq = photo.resize((32, 32), Image.Resampling.BILINEAR)
    references = [to_tensor(photo.rotate(4 * i - 8, Image.Resampling.BICUBIC), size) for i in range(count)]
    return to_tensor(lq, size).unsqueeze(0), torch.stack(references)


def open_restorer(path: Path | str, dtype: str, device: str) -> Restorer:
    """Open the model of a file, to compute in a number type such as "bfloat16"."""
    loaded = load_model(Path(path), dtype=getattr(torch, dtype), device=device)
    return Restorer(loaded.unet, loaded.first_stage, loaded.spec)
