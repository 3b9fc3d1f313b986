"""The published procedure on our modules. Speed claims are measured against it.

It computes in float32, with the whole attention matrix in memory, and with torch's own layers in their usual memory
layout. It encodes the references one by one, by whole passes through the U-Net; each pass is a batch of a reference and
its null reference. In every step, guidance runs two whole branches, with as many null references as references.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from refldm_core.model.attention import plain_attention
from refldm_core.model.layers import GroupNorm
from refldm_core.model.reference import ReferenceKV
from refldm_core.pipeline import Restorer


class _Conv2d(nn.Conv2d):
    """A convolution whose type keeps `refldm_core.model.layers` from using its faster implementations."""


def make_published(restorer: Restorer) -> None:
    """Undo every optimization of our networks.

    Args:
        restorer: the model, changed in place.
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
    """Compute the keys and values of the references and of as many null references.

    Args:
        restorer: the model.
        latents: (references, c, h, w).

    Returns:
        Those of the references, and those of the null references.
    """
    pairs = [restorer.unet.encode_references(torch.stack([torch.zeros_like(z), z])) for z in latents]
    return ReferenceKV.concat([pair.select(1) for pair in pairs]), ReferenceKV.concat(
        [pair.select(0) for pair in pairs]
    )
