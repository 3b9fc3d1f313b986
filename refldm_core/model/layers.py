"""Layers from a namespace that a host can replace by its own memory-managed classes.

`plain_layers` is our own namespace. Its layers compute the same numbers faster on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..ranges import Range

NORM_GROUPS = 32
MOST_LEVELS = 8
"""Largest number of levels of a network. Each but one halves the picture."""
CHANNEL_MULT = Range(1, 64, whole=True)
DOWNSAMPLING = Range(1, 2 ** (MOST_LEVELS - 1), whole=True)
"""Ranges of a level's width (as a multiple of the first level's) and of its downsampling factor."""

_STRIP_BYTES = 8 << 20
"""Bytes of one strip's input in `norm_silu_conv`. The strip and its results fit the processor's cache."""


def inference_on_cpu(x: Tensor) -> bool:
    """Whether x is on the CPU, no gradients are computed, and no compiler traces the operations."""
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()


def in_channels_last(x: Tensor) -> bool:
    """Whether the channels of x, (batch, c, h, w), lie side by side in memory."""
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


class GroupNorm(nn.GroupNorm):
    """torch's GroupNorm, but exact for the memory format channels_last on the CPU.

    For that format torch computes the variance as a difference of large sums. The lost digits change results of the
    first stage's codebook search. Here the mean and variance of each channel come from torch's batch normalization,
    which takes two passes.
    """

    def forward(self, input: Tensor) -> Tensor:
        # In shorter types torch sums in float32, and rounding the result costs more digits than this.
        if input.dtype != torch.float32 or not (inference_on_cpu(input) and in_channels_last(input)):
            return super().forward(input)
        normalized = [self.apply_statistics(x, *self.statistics(x)) for x in torch.split(input, 1)]
        return normalized[0] if len(normalized) == 1 else torch.cat(normalized)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of every channel's group in one image (1, c, h, w): (channels,) float32 each."""
        _, channels, height, width = x.shape
        # Every column counts as separate channels. Such short sums lose no digits; they are joined in double precision.
        columns = x.movedim(1, -1).reshape(1, height, width * channels).transpose(1, 2).unsqueeze(-1)
        means, variances = (
            values.double().view(width, self.num_groups, -1)
            for values in torch.batch_norm_update_stats(columns, None, None, 0.0)
        )
        mean = means.mean((0, 2), keepdim=True)
        # The variance within the columns plus the variance between them.
        var = (variances + (means - mean).square()).mean((0, 2), keepdim=True)
        return mean.expand_as(means[:1]).flatten().float(), var.expand_as(means[:1]).flatten().float()

    def apply_statistics(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Normalize a part (1, c, rows, w) of the image that has these statistics."""
        weight, bias = self.weight.float(), self.bias.float()
        if x.dtype != torch.float32:
            return F.batch_norm(x, mean, var, weight, bias, training=False, eps=self.eps)
        # The form a x + b of batch normalization loses digits where the mean is large against the spread.
        mean, scale, bias = (value[:, None, None] for value in (mean, weight * (var + self.eps).rsqrt(), bias))
        centered = x - mean
        return torch.addcmul(bias, centered, scale, out=centered)


def norm_silu_conv(norm: nn.Module, conv: nn.Module, x: Tensor, *, overwrite: bool = False) -> Tensor:
    """Return conv(SiLU(norm(x))) for a 3x3 convolution that keeps the size.

    A speed trick for the CPU (tests/model/test_layers.py): the feature maps between the three layers are the largest
    tensors of all. So the statistics of the whole image are computed first, and then x goes through the layers in
    strips of rows that fit the cache.

    Args:
        norm, conv: Layers of any namespace. Strips are used with `plain_layers` alone.
        x: (batch, c, h, w).
        overwrite: Allow the result to take x's memory. The result must then have x's number of channels.
    """
    if not (isinstance(norm, GroupNorm) and type(conv) is nn.Conv2d and inference_on_cpu(x) and in_channels_last(x)):
        # SiLU overwrites its argument, unless a gradient needs it.
        return conv(F.silu(norm(x), inplace=not torch.is_grad_enabled()))
    out = x if overwrite else _like(x, conv.out_channels)
    for image, result in zip(torch.split(x, 1), torch.split(out, 1), strict=True):
        statistics = norm.statistics(image)
        row_above = image[:, :, :0]
        for top, bottom in _strips(image):
            # The kernel needs one more row on each side. Beyond the edge of the image these rows are zeros.
            below = min(bottom + 1, image.shape[2])
            rows = torch.cat([row_above, image[:, :, top:below]], dim=2)
            row_above = image[:, :, bottom - 1 : bottom].clone()  # before the result overwrites it
            active = F.silu(norm.apply_statistics(rows, *statistics), inplace=True)
            if top == 0 or below == bottom:
                active = F.pad(active, (0, 0, int(top == 0), int(below == bottom)))
            result[:, :, top:bottom] = F.conv2d(active, conv.weight, conv.bias, padding=(0, 1))
    return out


def upsample_conv(conv: nn.Module, x: Tensor) -> Tensor:
    """Return conv(x enlarged twice to the nearest pixel) for a 3x3 convolution.

    x is (batch, c, h, w), and the result is (batch, out channels, 2 h, 2 w).

    A speed trick for the CPU (tests/model/test_layers.py): each result pixel sees 2 x 2 pixels of x, some of them
    through several of the kernel's 3 x 3 weights. These weights are added up first, and one transposed convolution
    applies the sums. It takes 4/9 of the work, and no enlarged feature map.
    """
    if not (type(conv) is nn.Conv2d and inference_on_cpu(x)):
        return conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    out_channels, in_channels, *_ = conv.weight.shape
    taps = _SUMMED_TAPS.to(conv.weight.dtype)
    summed = conv.weight.transpose(0, 1).flatten(2) @ torch.kron(taps, taps)
    return F.conv_transpose2d(x, summed.view(in_channels, out_channels, 4, 4), conv.bias, stride=2, padding=1)


_SUMMED_TAPS = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
"""Along one axis: row i tells to which of the transposed convolution's 4 weights the kernel's weight i is added."""


def _like(x: Tensor, channels: int) -> Tensor:
    batch, _, height, width = x.shape
    return torch.empty(batch, channels, height, width, dtype=x.dtype, memory_format=torch.channels_last)


def _strips(image: Tensor) -> Iterator[tuple[int, int]]:
    """Yield the first row of each strip, and the row after its last one."""
    _, channels, height, width = image.shape
    rows = max(1, _STRIP_BYTES // (channels * width * image.element_size()))
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


plain_layers = SimpleNamespace(Conv1d=nn.Conv1d, Conv2d=nn.Conv2d, GroupNorm=GroupNorm, Linear=nn.Linear)
"""Namespace of a network that no host manages."""


class Layers:
    """Makes layers of one namespace, on one device and in one type.

    Args:
        operations: Namespace with Conv1d, Conv2d, GroupNorm and Linear, such as `plain_layers`.
        device, dtype: Device and type of the parameters. None is torch's default.
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


class Upsample(nn.Module):
    """Doubles the size, to the nearest pixel, and applies a 3x3 convolution."""

    def __init__(self, make: Layers, channels: int) -> None:
        super().__init__()
        self.conv = make.conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return upsample_conv(self.conv, x)
