"""What the training loop asks of the thing that is trained.

Every random number of training is a function of (seed, step, position in the global batch): no generator's state is
carried from step to step. So a resumed run is exactly the uninterrupted one, and several processes draw together what
one would have drawn alone.
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
"""Tensors (and lists of them) by name, of one process's share of one micro-batch."""

Logs = dict[str, Tensor]
"""Scalars by name."""


class TrainingError(ReFLDMError):
    """A run that cannot start or go on; the last checkpoint is kept."""


class Part(nn.Module, ABC):
    """Modules that one optimizer trains, with the loss that it minimizes.

    What the loss needs but this optimizer does not train must not be registered as a submodule; `keep` does that.
    """

    name: str = "model"

    @abstractmethod
    def forward(self, batch: Batch, step: int) -> tuple[Tensor, Logs]:
        """The mean loss over the batch, and what to log."""

    def keep(self, **frozen: nn.Module | None) -> None:
        """Hold modules as attributes without owning their parameters."""
        for name, module in frozen.items():
            object.__setattr__(self, name, module)


class Examples(Dataset[Any], ABC):
    """What a run learns from, by seed.

    The processes that prepare data get a pickled copy. So it holds no network, nothing on a GPU and no open file.
    """

    @abstractmethod
    def __getitem__(self, seed: int) -> Any:
        """One item of the global batch, a function of its seed."""

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> Batch:
        """Items -> batch, on the CPU."""


class Task(Protocol):
    """One kind of model to train."""

    examples: Examples
    """What it learns from."""

    parts: Sequence[Part]
    """Updated in this order with the same batch."""

    frozen: nn.Module
    """Everything else that must be on the device."""

    def before_step(self, step: int, batches: Sequence[Batch]) -> None:
        """Called before the losses of a step, on every process alike."""
        ...

    def export(self, folder: Path, step: int, ema: Mapping[str, Mapping[str, Tensor]]) -> Sequence[Path]:
        """Write the model files of this step from the parts and (by part) their moving averages."""
        ...

    def sample(self, ema: Mapping[str, Mapping[str, Tensor]]) -> Image.Image | None:
        """A grid of examples; None where there is nothing to look at."""
        ...


def derive(seed: int, *keys: int) -> int:
    """A new seed in 0..2^63-1 from a seed and the place where it is used; different places are independent."""
    return int(np.random.SeedSequence([seed, *keys]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(seed: int) -> torch.Generator:
    """A CPU generator: the numbers are the same whatever the device of the model."""
    return torch.Generator().manual_seed(seed)
