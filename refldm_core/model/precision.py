"""Number types: the type in which a device is both exact enough and fast, exact float32, and checks for NaN."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import NotFiniteError


def has_fast_bfloat16() -> bool:
    """Whether torch reports that this machine's CPU multiplies matrices in bfloat16 (AVX512-BF16, AMX)."""
    return _can("avx512_bf16") or has_amx()


def has_amx() -> bool:
    """Whether torch reports that this machine's CPU has AMX for bfloat16. Torch's fused attention uses it."""
    return _can("amx_bf16")


def _can(instructions: str) -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])()
    return bool(capabilities.get(instructions, False))


@dataclass(frozen=True)
class DeviceProperties:
    """The properties of a device that decide about its number type.

    Attributes:
        type: Type of the device in torch's words: "cpu", "cuda" (NVIDIA, and AMD under ROCm), "xpu" or "mps".
        name: Name of the device in the driver's words, such as "NVIDIA GeForce GTX 1660 Ti".
        capability: Compute capability of an NVIDIA GPU, such as (7, 5).
        architecture: Architecture of an AMD GPU under ROCm, such as "gfx1030". "" for every other device.
        float16, bfloat16: Whether a CPU or an Intel GPU has instructions for this type.
    """

    type: str
    name: str = ""
    capability: tuple[int, int] = (0, 0)
    architecture: str = ""
    float16: bool = False
    bfloat16: bool = False


_BROKEN_FLOAT16 = re.compile(r"\b(GTX 16\d0|MX[45]50|CMP 30HX|T(400|500|550|600|1000|1200|2000))\b")
"""Names of cards with a TU116 or TU117 chip. Their float16 convolutions give NaN, which shows as black pictures."""

_NO_BFLOAT16 = re.compile(r"gfx([78]|90[0-69c]|10)")
"""AMD architectures without bfloat16: GCN, Vega, RDNA 1 and RDNA 2. CDNA (from gfx908 on) and RDNA 3 have it."""


def half_precision(properties: DeviceProperties) -> torch.dtype:
    """Return the 16-bit type in which a device gives right results fast, or float32 if there is none."""
    if properties.type != "cuda":
        # Nobody has tried this model in 16 bits on an Apple GPU yet.
        if properties.bfloat16:
            return torch.bfloat16
        return torch.float16 if properties.float16 else torch.float32
    if properties.architecture:
        return torch.float16 if _NO_BFLOAT16.match(properties.architecture) else torch.bfloat16
    if properties.name.endswith(
        "[ZLUDA]"
    ):  # an AMD GPU without the name of its architecture. All of them have float16.
        return torch.float16
    if properties.capability >= (8, 0):
        return torch.bfloat16
    # Before 7.0 a card computes float16 in float32, or very slowly.
    broken = properties.capability < (7, 0) or _BROKEN_FLOAT16.search(properties.name)
    return torch.float32 if broken else torch.float16


def device_properties(device: torch.device) -> DeviceProperties:
    """Return the properties of one of this machine's devices, as torch reports them."""
    if device.type not in ("cuda", "xpu"):
        return DeviceProperties(device.type, bfloat16=device.type == "cpu" and has_fast_bfloat16())
    backend: Any = getattr(torch, device.type)
    properties: Any = backend.get_device_properties(device)
    if device.type == "xpu":
        bfloat16 = bool(getattr(properties, "has_bfloat16_conversions", False))  # older torch does not report it
        return DeviceProperties("xpu", properties.name, float16=bool(properties.has_fp16), bfloat16=bfloat16)
    architecture = str(getattr(properties, "gcnArchName", ""))  # a build for NVIDIA repeats the card's name here
    if not architecture.startswith("gfx"):
        architecture = ""
    return DeviceProperties("cuda", properties.name, (properties.major, properties.minor), architecture)


@contextmanager
def exact_float32() -> Generator[None, None, None]:
    """Compute float32 convolutions in float32. Use it as a context or as a decorator.

    On NVIDIA GPUs since Ampere, PyTorch by default rounds the inputs of convolutions to TF32 (10 of 23 bits). The
    setting belongs to the process, so convolutions in other threads are exact for the same time. Matrix products are
    exact by default, and keep the program's setting.
    """
    restore = _without_tf32(torch.backends.cudnn)
    try:
        yield
    finally:
        restore()


def _without_tf32(cudnn: Any) -> Callable[[], None]:
    """Switch TF32 convolutions off. The returned function restores the setting."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.9 calls `allow_tf32` deprecated, and older versions have nothing else
        try:
            if not cudnn.allow_tf32:
                return lambda: None
            cudnn.allow_tf32 = False
            if not hasattr(cudnn, "conv") or cudnn.conv.fp32_precision != "tf32":
                return lambda: setattr(cudnn, "allow_tf32", True)
            cudnn.allow_tf32 = True  # `torch.backends.fp32_precision` takes precedence
        except RuntimeError:  # torch refuses to read it after the program has used the newer setting
            pass
    before = cudnn.conv.fp32_precision
    cudnn.conv.fp32_precision = "ieee"
    return lambda: setattr(cudnn.conv, "fp32_precision", before)


def require_finite_values(what: str, *batches: Tensor, remedy: str) -> None:
    """Check results for NaN and infinite values, which would show as black. This waits for the device once.

    Args:
        what: Name of the results, such as "restored pictures".
        batches: The results, on one device.
        remedy: What the user can do. `remedy_for` has the words for the command line and the library.

    Raises:
        NotFiniteError: A value is not finite. The message names the results.
    """
    if not torch.stack([batch.isfinite().all() for batch in batches]).all():
        raise NotFiniteError(
            f"The {what} have values that are not finite (NaN or infinity).",
            expected="finite values, as sound weights give in float32; 16 bit may be too short for a model or a GPU",
            remedy=remedy,
        )


def remedy_for(dtype: torch.dtype) -> str:
    """Return what a user can do against NaN and infinite values that were computed in this type."""
    if dtype == torch.float32:
        return "get the model file again, or use an earlier checkpoint: its values are too large even for float32"
    return "compute in float32 (--dtype float32 on the command line, dtype=torch.float32 of `load_model`)"
