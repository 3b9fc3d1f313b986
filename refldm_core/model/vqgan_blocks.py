"""The blocks of the first stage. Modules carry the published parameter names."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import Attention
from .layers import Layers, Upsample, norm_silu_conv


class ResnetBlock(nn.Module):
    """Two convolutions with a shortcut around them."""

    def __init__(self, make: Layers, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = make.norm(in_channels, eps=1e-6)
        self.conv1 = make.conv3x3(in_channels, out_channels)
        self.norm2 = make.norm(out_channels, eps=1e-6)
        self.conv2 = make.conv3x3(out_channels, out_channels)
        same_width = in_channels == out_channels
        self.nin_shortcut = nn.Identity() if same_width else make.conv1x1(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        h = norm_silu_conv(self.norm1, self.conv1, x)
        h = norm_silu_conv(self.norm2, self.conv2, h, overwrite=True)
        shortcut = self.nin_shortcut(x)
        return shortcut + h if torch.is_grad_enabled() else h.add_(shortcut)


class MiddleAttention(nn.Module):
    """Residual self-attention with one head as wide as the feature map."""

    def __init__(self, make: Layers, channels: int, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.norm = make.norm(channels, eps=1e-6)
        self.q = make.conv1x1(channels, channels)
        self.k = make.conv1x1(channels, channels)
        self.v = make.conv1x1(channels, channels)
        self.proj_out = make.conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        normalized = self.norm(x)
        # (b, c, h, w) -> (b, 1 head, h w, c)
        q, k, v = (
            project(normalized).flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
            for project in (self.q, self.k, self.v)
        )
        out = self.attention(q, k, v).squeeze(1).transpose(1, 2).reshape(x.shape)
        return x + self.proj_out(out)


class Middle(nn.Module):
    """The blocks at the coarsest size."""

    def __init__(self, make: Layers, channels: int, attention: Attention) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(make, channels, channels)
        self.attn_1 = MiddleAttention(make, channels, attention)
        self.block_2 = ResnetBlock(make, channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Downsample(nn.Module):
    """Halves the size. Like the published first stage, it pads the right and the bottom only."""

    def __init__(self, make: Layers, channels: int) -> None:
        super().__init__()
        self.conv = make.conv3x3(channels, channels, stride=2, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Level(nn.Module):
    """The residual blocks of one size."""

    def __init__(self, make: Layers, in_width: int, out_width: int, blocks: int) -> None:
        super().__init__()
        widths = [in_width] + [out_width] * blocks
        self.block = nn.ModuleList(ResnetBlock(make, a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return x


class DownLevel(Level):
    """A level of the encoder, which halves the size after its blocks unless it is the coarsest."""

    def __init__(self, make: Layers, in_width: int, out_width: int, blocks: int, *, coarsest: bool) -> None:
        super().__init__(make, in_width, out_width, blocks)
        self.downsample = None if coarsest else Downsample(make, out_width)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.downsample is None else self.downsample(x)


class UpLevel(Level):
    """A level of the decoder, which doubles the size after its blocks unless it is the finest."""

    def __init__(self, make: Layers, in_width: int, out_width: int, blocks: int, *, finest: bool) -> None:
        super().__init__(make, in_width, out_width, blocks)
        self.upsample = None if finest else Upsample(make, out_width)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.upsample is None else self.upsample(x)
