"""The published procedure on our modules: what speed claims are measured against.

fp32, attention with its whole matrix in memory, the references' keys and values made one by one in a batch that is
doubled for the null references, and full-length null references in every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from refldm_core.model.attention import plain_attention
from refldm_core.model.reference import ReferenceKV
from refldm_core.pipeline import Restorer


def make_published(restorer: Restorer) -> None:
    """Exchange the attention of a restorer's networks for the published arithmetic."""
    restorer.unet.attention = plain_attention
    for coder in (restorer.first_stage.encoder, restorer.first_stage.decoder):
        coder.mid.attn_1.attention = plain_attention


@torch.no_grad()
def reference_passes(restorer: Restorer, latents: Tensor) -> tuple[ReferenceKV, ReferenceKV]:
    """Keys and values of the references and of as many null references.

    Args:
        restorer: whose U-Net makes them.
        latents: (references, c, h, w).
    """
    pairs = [restorer.unet.encode_references(torch.stack([torch.zeros_like(z), z])) for z in latents]
    return ReferenceKV.concat([pair.select(1) for pair in pairs]), ReferenceKV.concat(
        [pair.select(0) for pair in pairs]
    )
