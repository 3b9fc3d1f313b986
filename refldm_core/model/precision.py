"""Number types: which of them a device is right and fast in, exact float32, and results that are not finite."""

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
    """Whether this machine's CPU multiplies matrices in bfloat16 (AVX512-BF16, AMX), and torch can tell."""
    return _can("avx512_bf16") or has_amx()


def has_amx() -> bool:
    """Whether this machine's CPU has AMX for bfloat16, which torch's fused attention uses."""
    return _can("amx_bf16")


def _can(instructions: str) -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])()
    return bool(capabilities.get(instructions, False))


@dataclass(frozen=True)
class DeviceProperties:
    """What the choice of a number type depends on.

    Attributes:
        type: of the device, as torch names it: "cpu", "cuda" (NVIDIA, and AMD under ROCm), "xpu" or "mps".
        name: of the device, as the driver gives it, such as "NVIDIA GeForce GTX 1660 Ti".
        capability: compute capability of an NVIDIA GPU, such as (7, 5).
        architecture: of an AMD GPU under ROCm, such as "gfx1030"; "" for every other device.
        float16, bfloat16: whether a CPU or an Intel GPU computes in this type with instructions of its own.
    """

    type: str
    name: str = ""
    capability: tuple[int, int] = (0, 0)
    architecture: str = ""
    float16: bool = False
    bfloat16: bool = False


_BROKEN_FLOAT16 = re.compile(r"\b(GTX 16\d0|MX[45]50|CMP 30HX|T(400|500|550|600|1000|1200|2000))\b")
"""Names of the cards with a TU116 or TU117 chip, on which float16 convolutions give NaN and so black pictures."""

_NO_BFLOAT16 = re.compile(r"gfx([78]|90[0-69c]|10)")
"""AMD architectures without bfloat16: GCN, Vega, RDNA 1 and RDNA 2. CDNA (gfx908 and above) and RDNA 3 have it."""


def half_precision(properties: DeviceProperties) -> torch.dtype:
    """The 16-bit type that a device is right and fast in; float32 where there is none."""
    if properties.type != "cuda":
        # On Apple's GPUs neither 16-bit type has been tried with this model.
        if properties.bfloat16:
            return torch.bfloat16
        return torch.float16 if properties.float16 else torch.float32
    if properties.architecture:
        return torch.float16 if _NO_BFLOAT16.match(properties.architecture) else torch.bfloat16
    if properties.name.endswith("[ZLUDA]"):  # an AMD GPU that hides its architecture; all of them have float16
        return torch.float16
    if properties.capability >= (8, 0):
        return torch.bfloat16
    # Before 7.0 float16 is computed in float32, or at a small part of its speed.
    broken = properties.capability < (7, 0) or _BROKEN_FLOAT16.search(properties.name)
    return torch.float32 if broken else torch.float16


def device_properties(device: torch.device) -> DeviceProperties:
    """What torch knows of one of this machine's devices."""
    if device.type not in ("cuda", "xpu"):
        return DeviceProperties(device.type, bfloat16=device.type == "cpu" and has_fast_bfloat16())
    backend: Any = getattr(torch, device.type)
    known: Any = backend.get_device_properties(device)
    if device.type == "xpu":
        bfloat16 = bool(getattr(known, "has_bfloat16_conversions", False))  # unknown to older torch
        return DeviceProperties("xpu", known.name, float16=bool(known.has_fp16), bfloat16=bfloat16)
    architecture = str(getattr(known, "gcnArchName", ""))  # a build for NVIDIA repeats the card's name there
    if not architecture.startswith("gfx"):
        architecture = ""
    return DeviceProperties("cuda", known.name, (known.major, known.minor), architecture)


@contextmanager
def exact_float32() -> Generator[None, None, None]:
    """Compute float32 convolutions in float32; a context, or a decorator.

    On NVIDIA GPUs from Ampere on PyTorch rounds their inputs to TF32 (10 bits of 23) unless told otherwise. The setting
    is the process's: convolutions in other threads are exact meanwhile too. Matrix products are exact by default, and
    stay as the program set them.
    """
    restore = _without_tf32(torch.backends.cudnn)
    try:
        yield
    finally:
        restore()


def _without_tf32(cudnn: Any) -> Callable[[], None]:
    """Switches TF32 convolutions off; the function that it returns brings the setting back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.9 calls `allow_tf32` deprecated; older ones have nothing else
        try:
            if not cudnn.allow_tf32:
                return lambda: None
            cudnn.allow_tf32 = False
            if not hasattr(cudnn, "conv") or cudnn.conv.fp32_precision != "tf32":
                return lambda: setattr(cudnn, "allow_tf32", True)
            cudnn.allow_tf32 = True  # overruled by `torch.backends.fp32_precision`
        except RuntimeError:  # not readable after the program has used the newer setting
            pass
    before = cudnn.conv.fp32_precision
    cudnn.conv.fp32_precision = "ieee"
    return lambda: setattr(cudnn.conv, "fp32_precision", before)


def require_finite_values(what: str, *batches: Tensor, remedy: str) -> None:
    """Refuse results with NaN or infinite values, which would show as black. Waits for the device once.

    Args:
        what: the results, in words, such as "restored pictures".
        batches: the tensors that they are, on one device.
        remedy: what the user can do; `remedy_for` has the words for the command line and the library.

    Raises:
        NotFiniteError: naming the results.
    """
    if not torch.stack([batch.isfinite().all() for batch in batches]).all():
        raise NotFiniteError(
            f"The {what} have values that are not finite (NaN or infinity).",
            expected="finite values, as sound weights give in float32; 16 bit may be too short for a model or a GPU",
            remedy=remedy,
        )


def remedy_for(dtype: torch.dtype) -> str:
    """What helps against values that are not finite and were computed in this type."""
    if dtype == torch.float32:
        return "get the model file again, or use an earlier checkpoint: its values are too large even for float32"
    return "compute in float32 (--dtype float32 on the command line, dtype=torch.float32 of `load_model`)"
