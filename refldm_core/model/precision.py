"""Which number types this machine is fast in."""

from __future__ import annotations

import torch


def has_fast_bfloat16() -> bool:
    """Whether this machine's CPU multiplies matrices in bfloat16 (AVX512-BF16, AMX), and torch can tell."""
    return _can("avx512_bf16") or has_amx()


def has_amx() -> bool:
    """Whether this machine's CPU has AMX for bfloat16, which torch's fused attention uses."""
    return _can("amx_bf16")


def _can(instructions: str) -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])()
    return bool(capabilities.get(instructions, False))
