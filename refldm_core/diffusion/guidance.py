"""Classifier-free guidance (arXiv 2207.12598) with null references (paper section 3.2), at all noise levels or in an
interval of them (arXiv 2404.07724).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .sampling import Model
from .settings import Interval

Condition = TypeVar("Condition")
"""The condition of one image, of any type that the network takes."""

ConditionalModel = Callable[[Tensor, int, Sequence[Condition]], Tensor]
"""eps(x, t, conditions): x is (batch, c, h, w), t is the timestep of all images, and each image has a condition."""


def guided(
    model: ConditionalModel[Condition],
    conditions: Sequence[Condition],
    null_conditions: Sequence[Condition | None],
    scale: float,
    interval: Interval | None = None,
) -> Model:
    """Return the guided noise prediction, eps_null + scale (eps_condition - eps_null).

    One call of the network computes both branches. Outside the interval the prediction is eps_condition, and the null
    branch is not computed (arXiv 2404.07724).

    Args:
        model: The network.
        conditions: One for each image.
        null_conditions: The condition that each image is guided away from. An image with None is not guided, and is
            predicted once.
        scale: Strength of the guidance. 1.5 is published. At 1 the null branch cancels out and is not computed.
        interval: Timesteps at which images are guided. None guides at all timesteps, as published.

    Returns:
        eps(x, t) for a sampler. It copies nothing between devices (tests/fake_gpu/test_restoring.py).
    """
    guided_indices = [i for i, null in enumerate(null_conditions) if null is not None and scale != 1.0]
    null_branch = [null for null in null_conditions if null is not None]

    def predict(x: Tensor, t: int) -> Tensor:
        if not guided_indices or (interval is not None and not interval[0] <= t <= interval[1]):
            return model(x, t, conditions)
        branches = torch.cat([_select(x, guided_indices), x])
        prediction = model(branches, t, [*null_branch, *conditions])
        eps_null, eps = prediction[: len(guided_indices)], prediction[len(guided_indices) :]
        return _replace(eps, guided_indices, eps_null + scale * (_select(eps, guided_indices) - eps_null))

    return predict


def _select(batch: Tensor, indices: Sequence[int]) -> Tensor:
    """Return images of a batch. Indexing with a list would copy an index tensor to the device and wait for it."""
    return batch if len(indices) == len(batch) else torch.stack([batch[i] for i in indices])


def _replace(batch: Tensor, indices: Sequence[int], replacements: Tensor) -> Tensor:
    """Return the batch with other images at `indices`. Apple's GPUs have no `index_copy` before torch 2.8."""
    if len(indices) == len(batch):
        return replacements
    replacement_at = dict(zip(indices, replacements.unbind(), strict=True))
    return torch.stack([replacement_at.get(i, image) for i, image in enumerate(batch.unbind())])
