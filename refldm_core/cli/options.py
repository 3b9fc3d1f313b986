"""Options that several commands share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from .. import embedded
from ..errors import SettingsError
from ..hardware import has_nvidia_driver, unused_gpu
from ..model.precision import device_properties, half_precision

DTYPES = ("float32", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps")

MODEL_FOLDER = Path.home() / ".cache" / "refldm"
"""Where `refldm download` puts the official files and `refldm restore` looks for them."""


def add_model_arguments(parser: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]
    parser.add_argument(
        "--vqgan", type=Path, metavar="FILE", help="the first stage, where the model's file does not hold it"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML of the published layout, for a model whose head size, latent size or noise differs from the "
        "released one's and whose file does not say so",
    )


def model_path(named: Path) -> Path:
    """The file that somebody named; "embedded" is the small model that comes with the package.

    Raises:
        CheckpointError: the embedded model is missing.
    """
    return embedded.require(embedded.RESTORER) if str(named) == embedded.NAME else named


def dtype_of(name: str) -> torch.dtype:
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def choose_device(name: str) -> torch.device:
    """The device that a name means; "auto" is the fastest one that PyTorch can use.

    Where that is the CPU of a machine with an NVIDIA driver, standard error says why, and what to do.

    Raises:
        SettingsError: no such device in this machine.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        fastest = next(device for device, is_there in there.items() if is_there)
        if fastest == "cpu" and has_nvidia_driver():
            print(unused_gpu(torch.__version__, torch.version.cuda), file=sys.stderr)
        return torch.device(fastest)
    if not there[name]:
        raise SettingsError(
            f"PyTorch sees no {name} device.",
            expected=", ".join(device for device, is_there in there.items() if is_there),
            remedy="leave --device at auto, or install a PyTorch build and driver for your GPU",
        )
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The type that a name means; "auto" is the 16-bit type that the device is right and fast in, else float32."""
    return half_precision(device_properties(device)) if name == "auto" else dtype_of(name)
