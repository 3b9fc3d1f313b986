"""The first stage: a VQGAN that encodes pictures as latents of an eighth of their size, and decodes them (paper section
3.1).

Modules carry the published parameter names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import SettingsError
from ..out_of_memory import Parts
from ..ranges import check_ranges, check_sequence, ranged_field
from .attention import Attention, fused_attention
from .layers import CHANNEL_MULT, MOST_LEVELS, NORM_GROUPS, Layers, norm_silu_conv, plain_layers
from .vqgan_blocks import DownLevel, Middle, UpLevel


@dataclass(frozen=True)
class FirstStageSpec:
    """The shape of the first stage. The defaults are those of the released model.

    Attributes:
        image_channels: Channels of the picture. It is RGB.
        channels: Width of the first level. It is a multiple of 32, the number of normalization groups.
        channel_mult: Width of each level as a multiple of `channels`. Each level but the last halves the size.
        num_res_blocks: Residual blocks of each level of the encoder. The decoder has one more.
        z_channels: Channels of the encoder's output.
        embed_dim: Channels of the latent and of a codebook entry.
        codebook_size: Number of codebook entries.

    Raises:
        OutOfRangeError: A value is outside its range.
        SettingsError: The number of normalization groups does not divide a width.
    """

    image_channels: int = ranged_field(3, 3, 3)
    channels: int = ranged_field(128, NORM_GROUPS, 8192)
    channel_mult: tuple[int, ...] = (1, 1, 2, 4)
    num_res_blocks: int = ranged_field(2, 1, 32)
    z_channels: int = ranged_field(8, 1, 512)
    embed_dim: int = ranged_field(8, 1, 512)
    codebook_size: int = ranged_field(8192, 1, 2**24)

    def __post_init__(self) -> None:
        check_ranges(self)
        check_sequence("channel_mult", self.channel_mult, CHANNEL_MULT, MOST_LEVELS)
        if self.channels % NORM_GROUPS:
            raise SettingsError(
                f"The first stage's width is {self.channels}.",
                expected=f"a multiple of {NORM_GROUPS}, the number of normalization groups",
                remedy="check the model's config",
            )

    @property
    def widths(self) -> list[int]:
        """Channels of each level, the finest first."""
        return [self.channels * mult for mult in self.channel_mult]

    @property
    def downsampling(self) -> int:
        """Side of a latent pixel in picture pixels."""
        return 2 ** (len(self.channel_mult) - 1)


class Encoder(nn.Module):
    """Picture (batch, image_channels, height, width) -> features (batch, z_channels, height / 8, width / 8)."""

    def __init__(self, make: Layers, spec: FirstStageSpec, attention: Attention) -> None:
        super().__init__()
        widths = [spec.channels, *spec.widths]  # of the input convolution, then of each level
        last = len(spec.widths) - 1
        self.conv_in = make.conv3x3(spec.image_channels, spec.channels)
        self.down = nn.ModuleList(
            DownLevel(make, widths[i], widths[i + 1], spec.num_res_blocks, coarsest=i == last) for i in range(last + 1)
        )
        self.mid = Middle(make, widths[-1], attention)
        self.norm_out = make.norm(widths[-1], eps=1e-6)
        self.conv_out = make.conv3x3(widths[-1], spec.z_channels)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        return norm_silu_conv(self.norm_out, self.conv_out, self.mid(h))


class Decoder(nn.Module):
    """Features (batch, z_channels, h, w) -> picture (batch, image_channels, 8 h, 8 w)."""

    def __init__(self, make: Layers, spec: FirstStageSpec, attention: Attention) -> None:
        super().__init__()
        widths = [*spec.widths, spec.widths[-1]]  # of each level, then of the middle
        self.conv_in = make.conv3x3(spec.z_channels, widths[-1])
        self.mid = Middle(make, widths[-1], attention)
        # up[0] is the finest level, which runs last. So an index stands for the same size as in the encoder.
        self.up = nn.ModuleList(
            UpLevel(make, widths[i + 1], widths[i], spec.num_res_blocks + 1, finest=i == 0)
            for i in range(len(spec.widths))
        )
        self.norm_out = make.norm(widths[0], eps=1e-6)
        self.conv_out = make.conv3x3(widths[0], spec.image_channels)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        return norm_silu_conv(self.norm_out, self.conv_out, h)


class Quantized(NamedTuple):
    """A latent after quantization.

    Attributes:
        z: (batch, c, h, w), codebook entries. The gradient passes straight through.
        indices: (batch, h, w) int64, numbers of the entries.
    """

    z: Tensor
    indices: Tensor


class Quantizer(nn.Module):
    """Replaces each latent pixel by the nearest codebook entry."""

    def __init__(self, make: Layers, size: int, dim: int) -> None:
        super().__init__()
        # Never the host's embedding: a host may cast its layers at each use, and the search needs exact values.
        self.embedding = nn.Embedding(size, dim, **make.factory)

    def forward(self, z: Tensor) -> Quantized:
        # Always float32: half precision picks another entry wherever two entries are nearly as close.
        codebook = self.embedding.weight.float()
        pixels = z.float().movedim(1, -1).flatten(0, -2)
        # |z - e|^2 without |z|^2, which is the same for all entries.
        distances = torch.addmm(codebook.square().sum(1), pixels, codebook.T, alpha=-2.0)
        indices = distances.argmin(1).reshape(z.shape[0], *z.shape[2:])
        nearest = F.embedding(indices, codebook).movedim(-1, 1)
        return Quantized((z + (nearest - z).detach()).to(z.dtype), indices)


PIXELS_AT_ONCE = 512 * 512
"""Pixels of the pictures that are encoded or decoded at once. A larger number takes more memory and saves little
time."""


def _in_parts(work: Callable[[Tensor], Tensor], batch: Tensor, name: str, *, pixels_each: int) -> Tensor:
    """Run `work` on a few pictures of a batch at a time, unless gradients are computed.

    Args:
        work: Function of (pictures, c, h, w). No picture's result depends on another picture.
        batch: (batch, c, h, w).
        name: Name of the work, see `Parts`.
        pixels_each: Picture pixels that one pixel of the batch stands for.
    """
    pictures = max(1, PIXELS_AT_ONCE // (batch.shape[2] * batch.shape[3] * pixels_each))
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return work(batch)
    parts = Parts(name, pictures).run(lambda part: work(batch[part]), len(batch))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class FirstStage(nn.Module):
    """Encoder, quantizer and decoder.

    Args:
        spec: Shape of the networks.
        operations: Namespace of layer classes (Conv2d, GroupNorm). A host may pass its own.
        attention: Attention function of the middle.
        device, dtype: Device and type of the parameters.
    """

    def __init__(
        self,
        spec: FirstStageSpec,
        *,
        operations: Any = plain_layers,
        attention: Attention = fused_attention,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        make = Layers(operations, device, dtype)
        self.encoder = Encoder(make, spec, attention)
        self.decoder = Decoder(make, spec, attention)
        self.quantize = Quantizer(make, spec.codebook_size, spec.embed_dim)
        self.quant_conv = make.conv1x1(spec.z_channels, spec.embed_dim)
        self.post_quant_conv = make.conv1x1(spec.embed_dim, spec.z_channels)

    def encode(self, image: Tensor) -> Tensor:
        """Encode pictures as latents before quantization, on which the diffusion model works.

        Args:
            image: (batch, 3, height, width) in [-1, 1], of any type. `spec.downsampling` divides height and width.

        Returns:
            (batch, embed_dim, height / 8, width / 8) for the released model, without bounds.
        """

        def work(part: Tensor) -> Tensor:
            return self.quant_conv(self.encoder(part.to(self.dtype)))

        return _in_parts(work, image, "encode {} pictures", pixels_each=1)

    def decode(self, latent: Tensor, *, quantize: bool = True) -> Tensor:
        """Decode latents as pictures.

        Args:
            latent: (batch, embed_dim, height, width). The codebook search needs float32, whatever the weights' type.
            quantize: Replace each pixel by its nearest codebook entry first, as in training. The gradient passes
                straight through.

        Returns:
            (batch, 3, 8 height, 8 width) for the released model, in about [-1, 1], not clamped.
        """

        def work(part: Tensor) -> Tensor:
            z = self.quantize(part).z if quantize else part
            return self.decoder(self.post_quant_conv(z.to(self.dtype)))

        return _in_parts(work, latent, "decode {} pictures", pixels_each=self.spec.downsampling**2)

    def memory_needed(self, pixels: int) -> int:
        """Return the bytes that encoding or decoding a picture takes on an accelerator, without the weights.

        The largest feature maps have the picture's size. Five of them exist at once (tests/fake_gpu/test_memory.py).

        Args:
            pixels: Height times width of the picture.
        """
        return 5 * self.spec.channels * pixels * self.dtype.itemsize

    @property
    def dtype(self) -> torch.dtype:
        """Type that the convolutions compute in."""
        return self.post_quant_conv.weight.dtype  # pyright: ignore[reportReturnType]
