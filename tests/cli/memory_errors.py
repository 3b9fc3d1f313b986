"""The errors of libraries that run out of memory, and a function that raises one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

GPU_FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB")
CPU_FULL = RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")
ILLEGAL_ACCESS = RuntimeError("CUDA error: an illegal memory access was encountered")


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail
