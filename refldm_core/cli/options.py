"""The model file, the device and the number type that the options of a command name."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from .. import embedded
from ..errors import SettingsError
from ..hardware import has_nvidia_driver, unused_gpu
from ..model.precision import device_properties, half_precision


def model_path(model: Path) -> Path:
    """Return the file of a model on the command line. "embedded" is the small model that comes with the package.

    Raises:
        CheckpointError: The embedded model is missing.
    """
    return embedded.require(embedded.RESTORER) if str(model) == embedded.NAME else model


def dtype_of(name: str) -> torch.dtype:
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def choose_device(name: str) -> torch.device:
    """Return the device of that name. "auto" is the fastest device that PyTorch can use.

    If "auto" is the CPU of a machine with an NVIDIA driver, print on standard error why, and what to do.

    Raises:
        SettingsError: PyTorch does not see such a device.
    """
    availability = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    available = [device for device, is_available in availability.items() if is_available]
    if name == "auto":
        fastest = available[0]
        if fastest == "cpu" and has_nvidia_driver():
            print(unused_gpu(torch.__version__, torch.version.cuda), file=sys.stderr)
        return torch.device(fastest)
    if not availability[name]:
        raise SettingsError(
            f"PyTorch sees no {name} device.",
            expected=", ".join(available),
            remedy="leave --device at auto, or install a PyTorch build and driver for your GPU",
        )
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the type of that name. "auto" is the 16-bit type in which the device is right and fast, or float32."""
    return half_precision(device_properties(device)) if name == "auto" else dtype_of(name)
