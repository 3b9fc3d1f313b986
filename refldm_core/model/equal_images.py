"""A speed trick for the CPU: compute equal images of a batch once.

Guidance predicts every image twice: with its references, and with null references. Both branches are equal until the
first attention layer, where the references come in.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .layers import inference_on_cpu

Stem = Callable[[Tensor, Tensor], list[Tensor]]
"""(images, embeddings) -> feature maps with one row for each image. No row depends on another image."""


def once_per_distinct_image(stem: Stem, images: Tensor, timesteps: Tensor, embeddings: Tensor) -> list[Tensor]:
    """Return `stem(images, embeddings)`, with equal rows computed once.

    The result is the same (tests/model/test_unet.py, test_equal_images_share_the_stem_and_give_the_same_result).
    Rows are compared on the CPU only: comparing them on an accelerator would wait for it.

    Args:
        stem: the part of the network that no reference reaches.
        images: (batch, channels, height, width).
        timesteps: (batch,); images at different timesteps are different.
        embeddings: (batch, channels), of the timesteps.
    """
    if len(images) < 2 or not inference_on_cpu(images):
        return stem(images, embeddings)
    distinct: list[int] = []
    position_in_distinct: list[int] = []
    for i in range(len(images)):
        equal = (
            p for p, j in enumerate(distinct) if timesteps[j] == timesteps[i] and torch.equal(images[j], images[i])
        )
        position = next(equal, len(distinct))
        if position == len(distinct):
            distinct.append(i)
        position_in_distinct.append(position)
    if len(distinct) == len(images):
        return stem(images, embeddings)
    return [features[position_in_distinct] for features in stem(images[distinct], embeddings[distinct])]
