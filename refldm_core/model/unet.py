"""The denoising U-Net (paper section 3.1), with CacheKV in every attention layer (section 3.2).

Modules carry the published parameter names, so that official checkpoints and LoRA key maps fit without renaming.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ReferencesError, SettingsError
from ..ranges import bounded, check_ranges, check_sequence
from .attention import Attend, Attention, AttentionBlock, KeyValue, attend_with_references, fused_attention
from .layers import (
    CHANNEL_MULT,
    DOWNSAMPLING,
    MOST_LEVELS,
    NORM_GROUPS,
    Layers,
    inference_on_cpu,
    plain_layers,
    upsample_conv,
)
from .reference import ReferenceKV

References = ReferenceKV | Sequence[ReferenceKV | None] | None
"""One set for every image of a batch, one (or None) for each image, or none at all."""


@dataclass(frozen=True)
class UNetSpec:
    """Everything that shapes a U-Net; the defaults are the released model.

    Attributes:
        in_channels: noisy latent channels followed by LQ latent channels.
        out_channels: channels of the predicted noise.
        model_channels: width of the first level; a multiple of 32, the number of normalization groups.
        channel_mult: width of each level as a multiple of model_channels.
        num_res_blocks: residual blocks in each level on the way down (one more on the way up).
        attention_downsampling: downsampling factors of the levels that have attention.
        num_head_channels: channels of an attention head; shapes do not tell it.

    Raises:
        OutOfRangeError: a value outside its range.
        SettingsError: values that do not fit together.
    """

    in_channels: int = bounded(16, 2, 1024)
    out_channels: int = bounded(8, 1, 512)
    model_channels: int = bounded(160, NORM_GROUPS, 8192)
    channel_mult: tuple[int, ...] = (1, 2, 2, 4)
    num_res_blocks: int = bounded(2, 1, 32)
    attention_downsampling: tuple[int, ...] = (2, 4, 8)
    num_head_channels: int = bounded(32, 1, 8192)

    def __post_init__(self) -> None:
        check_ranges(self)
        check_sequence("channel_mult", self.channel_mult, CHANNEL_MULT, MOST_LEVELS)
        if self.attention_downsampling:
            check_sequence("attention_downsampling", self.attention_downsampling, DOWNSAMPLING, MOST_LEVELS)
        if self.model_channels % NORM_GROUPS:
            raise SettingsError(
                f"The U-Net's model_channels is {self.model_channels}.",
                expected=f"a multiple of {NORM_GROUPS}, the number of normalization groups",
                remedy="check the model's config",
            )
        uneven = [w for w in self.attention_widths if w % self.num_head_channels]
        if uneven:
            raise SettingsError(
                f"Attention over {uneven[0]} channels cannot have heads of {self.num_head_channels} channels.",
                expected="a head size that divides every attention width",
                remedy="set num_head_channels (--config) to the value that the model was trained with",
            )
        if self.in_channels <= self.out_channels:
            raise SettingsError(
                f"The U-Net takes {self.in_channels} channels and predicts {self.out_channels}.",
                expected="more input than output channels: the noisy latent, then the LQ latent",
                remedy="use a ReF-LDM checkpoint, not an unconditional one",
            )

    @property
    def attention_widths(self) -> tuple[int, ...]:
        """Distinct channel counts that attention layers see, the middle block's included."""
        widths = {
            self.model_channels * m
            for level, m in enumerate(self.channel_mult)
            if 2**level in self.attention_downsampling
        }
        return tuple(sorted(widths | {self.model_channels * self.channel_mult[-1]}))


def timestep_embedding(timesteps: Tensor, dim: int) -> Tensor:
    """Sinusoidal embedding, cosines first, wavelengths from 2 pi to 20000 pi.

    Args:
        timesteps: (batch,) in 0..999, integer or fractional.
        dim: even.

    Returns:
        (batch, dim), float32.
    """
    half = dim // 2
    exponents = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    angles = timesteps.float()[:, None] * torch.exp(-math.log(10000.0) * exponents)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    """Two convolutions with the timestep embedding added between them."""

    def __init__(self, make: Layers, in_channels: int, out_channels: int, emb_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            make.norm(in_channels, eps=1e-5),
            nn.SiLU(),
            make.conv3x3(in_channels, out_channels),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), make.linear(emb_channels, out_channels))
        self.out_layers = nn.Sequential(
            make.norm(out_channels, eps=1e-5),
            nn.SiLU(),
            nn.Identity(),  # the published layout has (zero) dropout here, which shifts the convolution to index 3
            make.conv3x3(out_channels, out_channels),
        )
        same_width = in_channels == out_channels
        self.skip_connection = nn.Identity() if same_width else make.conv1x1(in_channels, out_channels)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Downsample(nn.Module):
    def __init__(self, make: Layers, channels: int) -> None:
        super().__init__()
        self.op = make.conv3x3(channels, channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, make: Layers, channels: int) -> None:
        super().__init__()
        self.conv = make.conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return upsample_conv(self.conv, x)


class Block(nn.ModuleList):
    """Layers run in order, each with the arguments that its kind needs."""

    @property
    def attends(self) -> bool:
        return any(isinstance(layer, AttentionBlock) for layer in self)

    def forward(self, x: Tensor, emb: Tensor, attend: Attend) -> Tensor:
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, emb)
            elif isinstance(layer, AttentionBlock):
                x = layer(x, attend)
            else:
                x = layer(x)
        return x


class UNet(nn.Module):
    """Predicts the noise in a latent from the noisy latent, the LQ latent and the references' keys and values.

    Args:
        spec: the shape.
        operations: namespace of layer classes (Conv1d, Conv2d, GroupNorm, Linear); a host may pass its own.
        attention: fused attention function; a host may pass its own.
        device, dtype: of the parameters.
    """

    def __init__(
        self,
        spec: UNetSpec,
        *,
        operations: Any = plain_layers,
        attention: Attention = fused_attention,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.attention = attention
        self.share_equal_images = True
        """Whether equal images of a batch are computed once until their references part them (on the CPU)."""
        self.fingerprint = "unsaved"
        """Names the weights; whoever loads weights sets it."""
        build = _Builder(spec, Layers(operations, device, dtype))
        self.time_embed = build.time_embed()
        self.input_blocks, skip_widths = build.input_blocks()
        self.middle_block = build.middle_block()
        self.output_blocks = build.output_blocks(skip_widths)
        self.out = build.out()
        self._attention_levels = build.attention_levels

    def reference_shapes(self, latent_size: tuple[int, int]) -> dict[str, tuple[int, int, int]]:
        """Layer name -> (heads, tokens of one reference, head channels) of the keys and values at a latent size."""
        height, width = latent_size
        head_channels = self.spec.num_head_channels
        return {
            name: (
                self.spec.model_channels * self.spec.channel_mult[level] // head_channels,
                (height >> level) * (width >> level),
                head_channels,
            )
            for name, level in self._attention_levels.items()
        }

    def forward(self, x: Tensor, timesteps: Tensor, references: References = None) -> Tensor:
        """Predict the noise.

        Args:
            x: (batch, in_channels, height, width): noisy latent, then LQ latent; sides divisible by the deepest
                downsampling factor.
            timesteps: (batch,), 0..999.
            references: see `References`. Images of one batch may have different numbers of references.

        Returns:
            (batch, out_channels, height, width) in x's type.

        Raises:
            ReferencesError: as many entries as images are needed, of this model, its layers and this latent size.
        """
        reference_per_image = self._reference_per_image(references, x)

        def attend(layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            caches = [None if kv is None else kv.layers[layer] for kv in reference_per_image]
            return attend_with_references(self.attention, q, k, v, caches)

        return self.out(self._features(x, timesteps, attend))

    def encode_references(self, latents: Tensor) -> ReferenceKV:
        """Build the CacheKV of reference latents: one U-Net pass each, at t = 0 (paper section 3.2).

        Args:
            latents: (references, out_channels, height, width), from the first stage. All zeros is the null
                reference of guidance.

        Returns:
            `ReferenceKV` with one reference for each latent, in order.

        Raises:
            ReferencesError: latents with another number of channels.
        """
        recorded: dict[str, KeyValue] = {}

        def record(layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            recorded[layer] = KeyValue(_join_references(k), _join_references(v))
            return self.attention(q, k, v)

        count, channels, height, width = latents.shape
        if channels != self.spec.out_channels:
            raise ReferencesError(
                f"The latents of these references have {channels} channels.",
                expected=f"{self.spec.out_channels}, as the model's latents",
                remedy="build the references again from the photos with the model in use",
            )
        # A reference stands where the noisy latent would; there is no LQ latent, so those channels are zero.
        x = F.pad(latents, (0, 0, 0, 0, 0, self.spec.in_channels - channels))
        # Blocks after the last attention layer produce no keys or values, so the pass stops there.
        last = max((i for i, block in enumerate(self.output_blocks, 1) if block.attends), default=0)
        self._features(x, torch.zeros(count, device=x.device), record, last)
        return ReferenceKV(recorded, count, (height, width), self.fingerprint)

    def _features(self, x: Tensor, timesteps: Tensor, attend: Attend, output_blocks: int | None = None) -> Tensor:
        """What `out` makes the noise of; with `output_blocks`, what so many of those blocks make."""
        emb = self.time_embed(timestep_embedding(timesteps, self.spec.model_channels).to(x.dtype))
        images = _EqualImages(x, timesteps, look=self.share_equal_images)
        skips: list[Tensor] = []
        h, embedding_of_h = images.distinct(x), images.distinct(emb)
        for block in self.input_blocks:
            if block.attends:  # here equal images part, since their references come in
                h, embedding_of_h = images.spread(h), emb
            h = block(h, embedding_of_h, attend)
            skips.append(h)
        h = self.middle_block(images.spread(h), emb, attend)
        for block in self.output_blocks[:output_blocks]:
            h = block(torch.cat([h, images.spread(skips.pop())], dim=1), emb, attend)
        return h

    def _reference_per_image(self, references: References, x: Tensor) -> Sequence[ReferenceKV | None]:
        batch, _, height, width = x.shape
        if references is None or isinstance(references, ReferenceKV):
            references = [references] * batch
        if len(references) != batch:
            raise ReferencesError(
                f"{len(references)} reference sets were given for {batch} images.",
                expected="one set for all images, or one (or None) for each",
                remedy="repeat the sets, or restore the images one by one",
            )
        for kv in references:
            if kv is not None:
                kv.require_fit(self.fingerprint, (height, width))
        if not torch.compiler.is_compiling():  # there is nothing to compile in comparing names and shapes
            shapes = self.reference_shapes((height, width))
            for kv in {id(kv): kv for kv in references if kv is not None}.values():  # one person may be in many images
                kv.require_layers(shapes)
        return references


class _EqualImages:
    """Which images of a batch are equal, as the two branches of guidance are until they attend to their references.

    Only looked for on the CPU: an accelerator would have to be waited for.

    Args:
        x, timesteps: as for `UNet.forward`.
        look: False takes all for different.
    """

    def __init__(self, x: Tensor, timesteps: Tensor, *, look: bool) -> None:
        self._first: Tensor | None = None
        self._batch = len(x)
        if len(x) < 2 or not look or not inference_on_cpu(x):
            return
        first: list[int] = []
        places: list[int] = []  # of each image's equal in `first`
        for image in range(len(x)):
            equal = (p for p, i in enumerate(first) if timesteps[i] == timesteps[image] and torch.equal(x[i], x[image]))
            place = next(equal, len(first))
            if place == len(first):
                first.append(image)
            places.append(place)
        if len(first) < len(x):
            self._first, self._places = torch.tensor(first), torch.tensor(places)

    def distinct(self, t: Tensor) -> Tensor:
        """One row for each distinct image, from one for each image."""
        return t if self._first is None else t[self._first]

    def spread(self, t: Tensor) -> Tensor:
        """One row for each image, from either."""
        return t if self._first is None or len(t) == self._batch else t[self._places]


def _join_references(t: Tensor) -> Tensor:
    """(references, heads, tokens, c) -> (heads, references * tokens, c)."""
    count, heads, tokens, channels = t.shape
    return t.transpose(0, 1).reshape(heads, count * tokens, channels).contiguous()


class _Builder:
    """Lays the blocks out in the published order; kept apart so that `UNet` reads as the computation."""

    def __init__(self, spec: UNetSpec, make: Layers) -> None:
        self.spec = spec
        self.make = make
        self.emb_channels = 4 * spec.model_channels
        self.widths = [spec.model_channels * mult for mult in spec.channel_mult]
        self.attention_levels: dict[str, int] = {}
        """Name of each attention layer -> how often its feature map was halved."""

    def time_embed(self) -> nn.Sequential:
        return nn.Sequential(
            self.make.linear(self.spec.model_channels, self.emb_channels),
            nn.SiLU(),
            self.make.linear(self.emb_channels, self.emb_channels),
        )

    def input_blocks(self) -> tuple[nn.ModuleList, list[int]]:
        """The blocks on the way down, and the width of each one's output, which is a skip connection's."""
        width = self.spec.model_channels
        blocks = [Block([self.make.conv3x3(self.spec.in_channels, width)])]
        skips = [width]
        for level, out_width in enumerate(self.widths):
            for _ in range(self.spec.num_res_blocks):
                blocks.append(Block(self._layers(f"input_blocks.{len(blocks)}", level, width, out_width)))
                width = out_width
                skips.append(width)
            if level < len(self.widths) - 1:
                blocks.append(Block([Downsample(self.make, width)]))
                skips.append(width)
        return nn.ModuleList(blocks), skips

    def middle_block(self) -> Block:
        width = self.widths[-1]
        return Block(
            [
                self._res(width, width),
                self._attention("middle_block.1", width, len(self.widths) - 1),
                self._res(width, width),
            ]
        )

    def output_blocks(self, skips: list[int]) -> nn.ModuleList:
        width = self.widths[-1]
        blocks: list[Block] = []
        for level, out_width in reversed(list(enumerate(self.widths))):
            for i in range(self.spec.num_res_blocks + 1):
                skip = skips[-1 - len(blocks)]
                layers = self._layers(f"output_blocks.{len(blocks)}", level, width + skip, out_width)
                width = out_width
                if level > 0 and i == self.spec.num_res_blocks:
                    layers.append(Upsample(self.make, width))
                blocks.append(Block(layers))
        return nn.ModuleList(blocks)

    def out(self) -> nn.Sequential:
        width = self.widths[0]
        return nn.Sequential(
            self.make.norm(width, eps=1e-5),
            nn.SiLU(),
            self.make.conv3x3(width, self.spec.out_channels),
        )

    def _layers(self, block: str, level: int, in_width: int, out_width: int) -> list[nn.Module]:
        layers: list[nn.Module] = [self._res(in_width, out_width)]
        if 2**level in self.spec.attention_downsampling:
            layers.append(self._attention(f"{block}.1", out_width, level))
        return layers

    def _res(self, in_width: int, out_width: int) -> ResBlock:
        return ResBlock(self.make, in_width, out_width, self.emb_channels)

    def _attention(self, name: str, width: int, level: int) -> AttentionBlock:
        self.attention_levels[name] = level
        return AttentionBlock(self.make, name, width, self.spec.num_head_channels)
