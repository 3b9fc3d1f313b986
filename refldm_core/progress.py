"""How long work reports progress, shows previews and is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Step(NamedTuple):
    """One finished sampling step.

    Attributes:
        done: steps finished, from 1.
        total: steps in all.
        x: the latent, (batch, c, h, w).
        x_0: the clean latent predicted at this step, for previews.
    """

    done: int
    total: int
    x: Tensor
    x_0: Tensor


OnStep = Callable[[Step], None]
"""Called after each step. Raising stops the work there; nothing needs undoing."""


def ignore_steps(step: Step) -> None:
    """The callback of who does not care."""
