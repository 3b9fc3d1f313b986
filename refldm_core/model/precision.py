"""Which number types this machine is fast in."""

from __future__ import annotations

import torch


def has_fast_bfloat16() -> bool:
    """Whether this machine's CPU multiplies matrices in bfloat16 (AVX512-BF16, AMX), and torch can tell."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict[str, bool])()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
