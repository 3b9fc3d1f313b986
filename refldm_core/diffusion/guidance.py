"""Classifier-free guidance (arXiv 2207.12598), here with null references (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .sampling import Model

Condition = TypeVar("Condition")
"""Whatever the network takes as one image's condition."""

ConditionalModel = Callable[[Tensor, Tensor, Sequence[Condition]], Tensor]
"""eps(x, t, conditions): x is (batch, c, h, w), t is (batch,), one condition for each image."""


def guided(
    model: ConditionalModel[Condition],
    conditions: Sequence[Condition],
    null_conditions: Sequence[Condition | None],
    scale: float,
) -> Model:
    """The noise prediction eps_null + scale (eps_condition - eps_null), both branches in one call of the network.

    Args:
        model: the network.
        conditions: one for each image.
        null_conditions: the condition that each image is guided away from, None where it is not guided; such an
            image is predicted once.
        scale: guidance; at 1 the null branch cancels and is not computed, the published value is 1.5.

    Returns:
        eps(x, t) for a sampler.
    """
    nulls = [(i, null) for i, null in enumerate(null_conditions) if null is not None and scale != 1.0]
    if not nulls:
        return lambda x, t: model(x, t, conditions)
    both = [*(null for _, null in nulls), *conditions]

    def predict(x: Tensor, t: Tensor) -> Tensor:
        index = torch.tensor([i for i, _ in nulls], device=x.device)
        eps_all = model(torch.cat([x[index], x]), torch.cat([t[index], t]), both)
        eps_null, eps = eps_all[: len(nulls)], eps_all[len(nulls) :]
        return eps.index_copy(0, index, eps_null + scale * (eps[index] - eps_null))

    return predict
