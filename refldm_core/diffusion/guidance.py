"""Classifier-free guidance (arXiv 2207.12598), here with null references (paper section 3.2); at all noise levels, or
in an interval of them (arXiv 2404.07724).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .sampling import Model

Condition = TypeVar("Condition")
"""Whatever the network takes as one image's condition."""

ConditionalModel = Callable[[Tensor, int, Sequence[Condition]], Tensor]
"""eps(x, t, conditions): x is (batch, c, h, w), t is the timestep of all images, one condition for each image."""

Interval = tuple[int, int]
"""The timesteps low..high, both included; 0 is the cleanest."""


def guided(
    model: ConditionalModel[Condition],
    conditions: Sequence[Condition],
    null_conditions: Sequence[Condition | None],
    scale: float,
    interval: Interval | None = None,
) -> Model:
    """The noise prediction eps_null + scale (eps_condition - eps_null), both branches in one call of the network.

    Outside the interval it is eps_condition, and the null branch is not computed (arXiv 2404.07724).

    Args:
        model: the network.
        conditions: one for each image.
        null_conditions: the condition that each image is guided away from, None where it is not guided; such an
            image is predicted once.
        scale: guidance; at 1 the null branch cancels and is not computed, the published value is 1.5.
        interval: timesteps at which images are guided; None guides at all timesteps, as published.

    Returns:
        eps(x, t) for a sampler. It copies nothing between devices (tests/fake_gpu/test_restoring.py).
    """
    guided_images = [i for i, null in enumerate(null_conditions) if null is not None and scale != 1.0]
    null_branch = [null for null in null_conditions if null is not None]

    def predict(x: Tensor, t: int) -> Tensor:
        if not guided_images or (interval is not None and not interval[0] <= t <= interval[1]):
            return model(x, t, conditions)
        branches = torch.cat([_select(x, guided_images), x])
        eps_of_branches = model(branches, t, [*null_branch, *conditions])
        eps_null, eps = eps_of_branches[: len(guided_images)], eps_of_branches[len(guided_images) :]
        return _replace(eps, guided_images, eps_null + scale * (_select(eps, guided_images) - eps_null))

    return predict


def _select(batch: Tensor, images: Sequence[int]) -> Tensor:
    """Some images of a batch. Indexing with a list would copy an index tensor to the device and wait for it."""
    return batch if len(images) == len(batch) else torch.stack([batch[i] for i in images])


def _replace(batch: Tensor, images: Sequence[int], replacements: Tensor) -> Tensor:
    """The batch with some of its images replaced. `index_copy` has no kernel on Apple's GPUs before torch 2.8."""
    if len(images) == len(batch):
        return replacements
    rows = dict(zip(images, replacements.unbind(), strict=True))
    return torch.stack([rows.get(i, image) for i, image in enumerate(batch.unbind())])
