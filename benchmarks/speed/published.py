"""The published procedure on our modules: what speed claims are measured against.

fp32, attention with its whole matrix in memory, torch's own layers in their usual layout, the references' keys and
values made one by one, by whole passes in a batch that is doubled for the null references, and in every step two whole
branches with full-length null references.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from refldm_core.model.attention import plain_attention
from refldm_core.model.layers import GroupNorm
from refldm_core.model.reference import ReferenceKV
from refldm_core.pipeline import Restorer


class _Conv2d(nn.Conv2d):
    """By its type not one that the quicker ways of `refldm_core.model.layers` are taken with."""


def make_published(restorer: Restorer) -> None:
    """Take everything back that our networks leave out or do otherwise.

    Args:
        restorer: changed in place.
    """
    restorer.unet.attention = plain_attention
    for coder in (restorer.first_stage.encoder, restorer.first_stage.decoder):
        coder.mid.attn_1.attention = plain_attention
    for network in (restorer.unet, restorer.first_stage):
        network.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        for layer in network.modules():
            if type(layer) is nn.Conv2d:
                layer.__class__ = _Conv2d
            elif type(layer) is GroupNorm:
                layer.__class__ = nn.GroupNorm  # pyright: ignore[reportAttributeAccessIssue]
    restorer.unet.share_equal_images = False
    features = restorer.unet._features
    restorer.unet._features = lambda x, timesteps, attend, output_blocks=None: features(x, timesteps, attend)


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
