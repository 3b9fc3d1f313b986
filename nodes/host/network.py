"""The U-Net with the host's layers and attention."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import comfy.ldm.modules.attention
import torch
from torch import Tensor

from ...refldm_core.model.attention import fused_attention, key_mask
from ...refldm_core.model.unet import UNet, UNetSpec
from ...refldm_core.out_of_memory import PREDICTION, Parts
from .conditioning import ReferenceBatch
from .memory import explained_memory_errors


class HostUNet(UNet):
    """The core's U-Net with the layers, the attention and the calling convention of the host.

    A batch that does not fit into memory is computed in smaller parts, also for the host's own samplers.

    Attributes:
        parts: Runs the batches. Each sampling starts with new ones, since memory may have become free.
    """

    def __init__(self, spec: UNetSpec, device: Any = None, dtype: torch.dtype | None = None, operations: Any = None):
        super().__init__(spec, operations=operations, attention=_host_attention, device=device, dtype=dtype)
        self.dtype = dtype
        self.parts = Parts(PREDICTION)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, timesteps: Tensor, references: ReferenceBatch | None = None, **_: Any
    ) -> Tensor:
        sets = None if references is None else references.sets
        if torch.compiler.is_compiling():
            return super().forward(x, timesteps, sets)

        def predict(part: slice) -> Tensor:
            return super(HostUNet, self).forward(x[part], timesteps[part], None if sets is None else sets[part])

        with explained_memory_errors("make one prediction of a sampling step"):
            predictions = self.parts.run(predict, len(x))
        return predictions[0] if len(predictions) == 1 else torch.cat(predictions)


def _host_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    if q.device.type == "cpu":  # the host has nothing faster on a CPU
        return fused_attention(q, k, v, bias)
    attention = comfy.ldm.modules.attention
    if bias is None:
        return attention.optimized_attention(q, k, v, q.shape[1], skip_reshape=True, skip_output_reshape=True)
    # Some attention functions that a user can choose (SageAttention in some versions) silently ignore a mask.
    mask = key_mask(bias, q)
    return attention.attention_pytorch(q, k, v, q.shape[1], mask=mask, skip_reshape=True, skip_output_reshape=True)
