"""Types and functions with which long work reports its progress, shows previews and is canceled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

Item = TypeVar("Item")


class ShowProgress(Protocol):
    """Yields the items that it gets, and shows how many of `total` items are done."""

    def __call__(self, items: Iterable[Item], label: str, total: int) -> Iterable[Item]: ...


def show_no_progress(items: Iterable[Item], label: str, total: int) -> Iterable[Item]:
    """Return the items and show nothing. It is a `ShowProgress`."""
    return items


class Step(NamedTuple):
    """One finished sampling step.

    Attributes:
        done: Number of finished steps, from 1.
        total: Number of all steps.
        x: The latent, (batch, c, h, w).
        x_0: The clean latent that was predicted at this step, for previews.
    """

    done: int
    total: int
    x: Tensor
    x_0: Tensor


OnStep = Callable[[Step], None]
"""Called after each step. An exception in the callback stops the work. Nothing needs to be undone."""


def ignore_steps(step: Step) -> None:
    """Do nothing. It is the default callback."""
