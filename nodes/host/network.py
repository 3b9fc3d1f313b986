"""The U-Net with the host's layers and attention."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import comfy.ldm.modules.attention
import torch
from torch import Tensor

from ...refldm_core.model.attention import fused_attention, key_mask
from ...refldm_core.model.unet import UNet, UNetSpec
from .conditioning import ReferenceBatch


class HostUNet(UNet):
    """The core's U-Net with the layers, the attention and the calling convention of the host."""

    def __init__(self, spec: UNetSpec, device: Any = None, dtype: torch.dtype | None = None, operations: Any = None):
        super().__init__(spec, operations=operations, attention=_host_attention, device=device, dtype=dtype)
        self.dtype = dtype

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, timesteps: Tensor, references: ReferenceBatch | None = None, **_: Any
    ) -> Tensor:
        return super().forward(x, timesteps, None if references is None else references.sets)


def _host_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    if q.device.type == "cpu":  # the host has nothing faster on a CPU
        return fused_attention(q, k, v, bias)
    attention = comfy.ldm.modules.attention
    if bias is None:
        return attention.optimized_attention(q, k, v, q.shape[1], skip_reshape=True, skip_output_reshape=True)
    # Some attention functions that a user can choose (SageAttention in some versions) silently ignore a mask.
    mask = key_mask(bias, q)
    return attention.attention_pytorch(q, k, v, q.shape[1], mask=mask, skip_reshape=True, skip_output_reshape=True)
