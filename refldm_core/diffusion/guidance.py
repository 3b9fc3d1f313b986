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

ConditionalModel = Callable[[Tensor, Tensor, Sequence[Condition]], Tensor]
"""eps(x, t, conditions): x is (batch, c, h, w), t is (batch,), one condition for each image."""

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
        interval: timesteps at which images are guided; None is all of them, as published.

    Returns:
        eps(x, t) for a sampler.
    """
    nulls = [(i, null) for i, null in enumerate(null_conditions) if null is not None and scale != 1.0]
    if not nulls:
        return lambda x, t: model(x, t, conditions)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        now = nulls if interval is None else _within(interval, nulls, t)
        if not now:
            return model(x, t, conditions)
        index = torch.tensor([i for i, _ in now], device=x.device)
        both = [*(null for _, null in now), *conditions]
        eps_all = model(torch.cat([x[index], x]), torch.cat([t[index], t]), both)
        eps_null, eps = eps_all[: len(now)], eps_all[len(now) :]
        return eps.index_copy(0, index, eps_null + scale * (eps[index] - eps_null))

    return predict


def _within(interval: Interval, nulls: list[tuple[int, Condition]], t: Tensor) -> list[tuple[int, Condition]]:
    """Those of the guided images whose timestep is in the interval."""
    low, high = interval
    inside = ((low <= t) & (t <= high)).cpu().numpy()
    return [(i, null) for i, null in nulls if inside[i]]
