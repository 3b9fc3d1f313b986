"""Exponential moving average of weights, in float32."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """The moving average of a module's parameters and buffers. Tensors of other types than float are copied.

    Args:
        module: the module to average, with its initial weights.
        decay: share of the earlier average in each update, 0..1.
        warmup: whether the decay of an update is at most (1 + updates) / (10 + updates), so that a young average
            follows the weights quickly.
    """

    def __init__(self, module: nn.Module, decay: float, *, warmup: bool = True) -> None:
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self.weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average toward the module's weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        for name, tensor in module.state_dict().items():
            mean = self.weights[name]
            if mean.is_floating_point():
                mean.lerp_(tensor.to(mean.dtype), 1.0 - decay)
            else:
                mean.copy_(tensor)

    def state_dict(self) -> dict[str, object]:
        return {"updates": self.updates, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Load what `state_dict` returned.

        Raises:
            ValueError, LookupError, TypeError: the values belong to another module, or are damaged.
        """
        updates = state["updates"]
        if not isinstance(updates, int) or not 0 <= updates <= 10**12:
            raise ValueError("an average has an unusual number of updates")
        weights = dict[str, Tensor](state["weights"])  # pyright: ignore[reportArgumentType, reportCallIssue]
        if {name: tensor.shape for name, tensor in weights.items()} != {n: t.shape for n, t in self.weights.items()}:
            raise ValueError("an average has other weights")  # copy_ would repeat the numbers of a smaller tensor
        self.updates = updates
        for name, tensor in weights.items():
            self.weights[name].copy_(tensor)


@contextmanager
def swapped_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> Generator[None, None, None]:
    """Give the module other weights and evaluation mode inside the `with` block, and restore both afterwards."""
    original = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    training = module.training
    module.load_state_dict(weights)
    module.eval()
    try:
        yield
    finally:
        module.load_state_dict(original)
        module.train(training)
