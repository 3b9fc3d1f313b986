"""Makes layers from an exchangeable namespace, so that a host can pass its own memory-managed layer classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

NORM_GROUPS = 32


class Layers:
    """Layer classes of one namespace, on one device, in one type.

    Args:
        operations: a namespace with Conv1d, Conv2d, GroupNorm and Linear, such as torch.nn.
        device, dtype: of the parameters; None is torch's default.
    """

    def __init__(self, operations: Any, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        self._operations = operations
        self.factory: dict[str, Any] = {"device": device, "dtype": dtype}

    def conv3x3(self, in_channels: int, out_channels: int, *, stride: int = 1, padding: int = 1) -> nn.Module:
        return self._operations.Conv2d(in_channels, out_channels, 3, stride=stride, padding=padding, **self.factory)

    def conv1x1(self, in_channels: int, out_channels: int) -> nn.Module:
        return self._operations.Conv2d(in_channels, out_channels, 1, **self.factory)

    def conv1d(self, in_channels: int, out_channels: int) -> nn.Module:
        return self._operations.Conv1d(in_channels, out_channels, 1, **self.factory)

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        return self._operations.Linear(in_features, out_features, **self.factory)

    def norm(self, channels: int, eps: float) -> nn.Module:
        return self._operations.GroupNorm(NORM_GROUPS, channels, eps=eps, **self.factory)
