"""The interface between the training loop and a task: its parts, its examples and its output.

Every random number of training is a function of (seed, step, position in the global batch). No state of a generator is
carried from step to step. A resumed run is therefore exactly the uninterrupted one, and several processes together draw
the numbers that one process draws alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..errors import ReFLDMError

Batch = dict[str, Any]
"""One process's share of one micro-batch: tensors, or lists, by name."""

Logs = dict[str, Tensor]
"""Scalars to log, by name."""


class TrainingError(ReFLDMError):
    """A run that cannot start or continue. Its last state is not changed."""


class Part(nn.Module, ABC):
    """Modules that one optimizer trains, with the loss that it minimizes.

    Modules that the loss needs but that this optimizer does not train must not be submodules. `attach_frozen` attaches
    them.
    """

    name: str = "model"

    @abstractmethod
    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        """Return the mean loss over the batch, and scalars to log."""

    def attach_frozen(self, **frozen: nn.Module | None) -> None:
        """Set modules as attributes without registering their parameters."""
        for name, module in frozen.items():
            object.__setattr__(self, name, module)


class Examples(Dataset[Any], ABC):
    """The data that a run learns from, by seed.

    Each worker gets a pickled copy. An instance must therefore hold no network, nothing on a GPU and no open file.
    """

    @abstractmethod
    def __getitem__(self, seed: int) -> Any:
        """Return one item of the global batch, a function of its seed."""

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> Batch:
        """Join items into a batch, on the CPU."""


class Task(Protocol):
    """One kind of model to train."""

    examples: Examples
    """The data to learn from."""

    parts: Sequence[Part]
    """Parts, in the order in which a step updates them with the same batch."""

    frozen: nn.Module
    """Holds all other modules, which must be on the device too."""

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        """Prepare a step. Every process calls this before it computes the losses."""
        ...

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        """Write the model files of this step.

        Args:
            folder: folder of the run.
            step: number of steps done.
            ema: moving averages of the weights, by part and name.

        Returns:
            The files.
        """
        ...

    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image | None:
        """Return a picture that shows what the averaged weights do; None where there is nothing to show."""
        ...


def derive(seed: int, *keys: int) -> int:
    """Return a new seed in 0..2^63-1 for a seed and keys that name its use. Other keys give independent seeds."""
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int) -> torch.Generator:
    """Return a seeded CPU generator, so that the numbers do not depend on the device of the model."""
    return torch.Generator().manual_seed(seed)
