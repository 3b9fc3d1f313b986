"""How long work reports progress, shows previews and is canceled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

Item = TypeVar("Item")


class Each(Protocol):
    """Goes through items of which there are `total`, and shows how far it is."""

    def __call__(self, items: Iterable[Item], label: str, total: int) -> Iterable[Item]: ...


def quietly(items: Iterable[Item], label: str, total: int) -> Iterable[Item]:
    """The `Each` that shows nothing."""
    return items


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
