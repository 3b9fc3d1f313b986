"""Detect processor cores, and an NVIDIA GPU that PyTorch cannot use."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

PYTORCH_INSTALLER = "https://pytorch.org/get-started/locally"


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_nvidia_driver(
    system: str = sys.platform,
    exists: Callable[[str], bool] = os.path.exists,
    which: Callable[[str], str | None] = shutil.which,
) -> bool:
    """Whether an NVIDIA driver is installed.

    dev.py repeats this test, since it runs before anything is installed.

    Args:
        system: The operating system, as in `sys.platform`.
        exists: Tells whether a file exists.
        which: Finds the path of a program.
    """
    library = r"C:\Windows\System32\nvcuda.dll" if system == "win32" else "/proc/driver/nvidia"
    return which("nvidia-smi") is not None or exists(library)


def unused_gpu(version: str, cuda: str | None) -> str:
    """Explain why PyTorch computes on the CPU of a machine with an NVIDIA driver, and what the user can do.

    Args:
        version: Version of PyTorch.
        cuda: The version of CUDA that PyTorch was built for. None for a build without CUDA.
    """
    if cuda is None:
        return (
            f"This machine has an NVIDIA driver, but PyTorch {version} is a build for the CPU, which is many times "
            f"slower. For the GPU, install another build: run `{_python()} -m pip install --force-reinstall torch "
            f"torchvision --index-url https://download.pytorch.org/whl/cu128` ({PYTORCH_INSTALLER} lists others)."
        )
    return (
        f"This machine has an NVIDIA driver, but PyTorch {version} finds no GPU that it can use, and computes on the "
        f"CPU, which is many times slower. Its build is for CUDA {cuda}: install a newer driver, or a build for the "
        f"driver that you have ({PYTORCH_INSTALLER})."
    )


def _python() -> str:
    return f'"{sys.executable}"' if " " in sys.executable else sys.executable
