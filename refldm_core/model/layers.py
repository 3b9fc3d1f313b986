"""Layers from an exchangeable namespace, so that a host can pass its own memory-managed classes.

`plain_layers` is our own, whose layers know quicker ways to the same numbers on the CPU.
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
"""Most levels of a network: each but one halves the picture."""
CHANNEL_MULT = Range(1, 64, whole=True)
DOWNSAMPLING = Range(1, 2 ** (MOST_LEVELS - 1), whole=True)
"""Ranges of a level's width as a multiple of the first level's, and of its downsampling factor."""

_STRIP_BYTES = 8 << 20
"""Of the input of one strip of `norm_silu_conv`: it and what is made of it stay in the processor's cache."""


def inference_on_cpu(x: Tensor) -> bool:
    """Whether x is computed on the CPU without gradients, one operation after the other (not traced by a compiler)."""
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()


def in_channels_last(x: Tensor) -> bool:
    """Whether the channels of (batch, c, h, w) lie side by side in memory."""
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


class GroupNorm(nn.GroupNorm):
    """torch's, but exact in channels_last on the CPU.

    There torch takes the variance as a difference of large sums, which loses digits that the first stage's codebook
    search shows. Here each channel's mean and centered second moment come from torch's batch normalization, which
    takes two passes.
    """

    def forward(self, input: Tensor) -> Tensor:
        # In shorter types torch sums in float32, and the result's rounding is larger than what is lost.
        if input.dtype != torch.float32 or not (inference_on_cpu(input) and in_channels_last(input)):
            return super().forward(input)
        normed = [self.apply_statistics(x, *self.statistics(x)) for x in torch.split(input, 1)]
        return normed[0] if len(normed) == 1 else torch.cat(normed)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel's group, each (channels,) float32, of one image (1, c, h, w)."""
        _, channels, height, width = x.shape
        # Each column as channels of its own: sums of so few numbers lose nothing, and are joined in double precision.
        columns = x.movedim(1, -1).reshape(1, height, width * channels).transpose(1, 2).unsqueeze(-1)
        means, variances = (
            values.double().view(width, self.num_groups, -1)
            for values in torch.batch_norm_update_stats(columns, None, None, 0.0)
        )
        mean = means.mean((0, 2), keepdim=True)
        # The variance within columns, and that between them.
        var = (variances + (means - mean).square()).mean((0, 2), keepdim=True)
        return mean.expand_as(means[:1]).flatten().float(), var.expand_as(means[:1]).flatten().float()

    def apply_statistics(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Normalize any part (1, c, rows, w) of the image whose statistics these are."""
        weight, bias = self.weight.float(), self.bias.float()
        if x.dtype != torch.float32:
            return F.batch_norm(x, mean, var, weight, bias, training=False, eps=self.eps)
        # Not a x + b, as batch normalization has it, which loses digits where the mean is large against the spread.
        mean, scale, bias = (value[:, None, None] for value in (mean, weight * (var + self.eps).rsqrt(), bias))
        centered = x - mean
        return torch.addcmul(bias, centered, scale, out=centered)


def norm_silu_conv(norm: nn.Module, conv: nn.Module, x: Tensor, *, overwrite: bool = False) -> Tensor:
    """conv(SiLU(norm(x))) for a 3x3 convolution that keeps the size, without the maps between where that is possible.

    Those are the largest tensors of all. On the CPU, x is worked on in strips of rows that stay in the cache: the
    statistics are taken first, of the whole image.

    Args:
        norm, conv: of any namespace; strips need this one's.
        x: (batch, c, h, w).
        overwrite: the result may take x's memory; it must then have x's channels.
    """
    if not (isinstance(norm, GroupNorm) and type(conv) is nn.Conv2d and inference_on_cpu(x) and in_channels_last(x)):
        # In the memory of its argument where no gradient needs that.
        return conv(F.silu(norm(x), inplace=not torch.is_grad_enabled()))
    out = x if overwrite else _like(x, conv.out_channels)
    for image, result in zip(torch.split(x, 1), torch.split(out, 1), strict=True):
        statistics = norm.statistics(image)
        row_above = image[:, :, :0]
        for top, bottom in _strips(image):
            # One more row on each side for the kernel; beyond the image's edge those are zeros.
            below = min(bottom + 1, image.shape[2])
            rows = torch.cat([row_above, image[:, :, top:below]], dim=2)
            row_above = image[:, :, bottom - 1 : bottom].clone()  # before it may be written over
            active = F.silu(norm.apply_statistics(rows, *statistics), inplace=True)
            if top == 0 or below == bottom:
                active = F.pad(active, (0, 0, int(top == 0), int(below == bottom)))
            result[:, :, top:bottom] = F.conv2d(active, conv.weight, conv.bias, padding=(0, 1))
    return out


def upsample_conv(conv: nn.Module, x: Tensor) -> Tensor:
    """conv(x enlarged twice to the nearest pixel) for a 3x3 convolution: (batch, c, h, w) -> (batch, o, 2 h, 2 w).

    Each result pixel sees 2 x 2 pixels of x, some of them through several of the kernel's 3 x 3 weights. Adding those
    weights up first gives the same numbers with 4/9 of the work and without the enlarged map; the sum is one transposed
    convolution.
    """
    if not (type(conv) is nn.Conv2d and inference_on_cpu(x)):
        return conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
    out_channels, in_channels, *_ = conv.weight.shape
    taps = _SUMMED_TAPS.to(conv.weight.dtype)
    summed = conv.weight.transpose(0, 1).flatten(2) @ torch.kron(taps, taps)
    return F.conv_transpose2d(x, summed.view(in_channels, out_channels, 4, 4), conv.bias, stride=2, padding=1)


_SUMMED_TAPS = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
"""Along one axis, to which of the transposed convolution's 4 weights each of the kernel's 3 is added."""


def _like(x: Tensor, channels: int) -> Tensor:
    batch, _, height, width = x.shape
    return torch.empty(batch, channels, height, width, dtype=x.dtype, memory_format=torch.channels_last)


def _strips(image: Tensor) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of the rows of each strip."""
    _, channels, height, width = image.shape
    rows = max(1, _STRIP_BYTES // (channels * width * image.element_size()))
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


plain_layers = SimpleNamespace(Conv1d=nn.Conv1d, Conv2d=nn.Conv2d, GroupNorm=GroupNorm, Linear=nn.Linear)
"""The namespace of a network that no host manages."""


class Layers:
    """Layer classes of one namespace, on one device, in one type.

    Args:
        operations: a namespace with Conv1d, Conv2d, GroupNorm and Linear, such as `plain_layers`.
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
