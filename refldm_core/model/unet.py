"""The denoising U-Net (paper section 3.1), with CacheKV in every attention layer (section 3.2).

Modules carry the published parameter names, so that official checkpoints and LoRA key maps fit without renaming.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ReferencesError
from ..out_of_memory import Parts
from .attention import Attend, Attention, KeyValue, attend_with_references, fused_attention
from .equal_images import once_per_distinct_image
from .layers import Layers, plain_layers
from .reference import ReferenceKV
from .unet_blocks import UNetBuilder
from .unet_spec import UNetSpec

References = ReferenceKV | Sequence[ReferenceKV | None] | None
"""One set for every image of a batch, one (or None) for each image, or none at all."""


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


class UNet(nn.Module):
    """Predicts the noise in a latent from the noisy latent, the LQ latent and the references' keys and values.

    Args:
        spec: Shape of the network.
        operations: Namespace of layer classes (Conv1d, Conv2d, GroupNorm, Linear). A host may pass its own.
        attention: Attention function. A host may pass its own.
        device, dtype: Device and type of the parameters.
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
        """Whether `once_per_distinct_image` is used."""
        self.fingerprint = "unsaved"
        """Name of the weights. The code that loads weights sets it."""
        builder = UNetBuilder(spec, Layers(operations, device, dtype))
        self.time_embed = builder.time_embed()
        self.input_blocks, skip_widths = builder.input_blocks()
        self.middle_block = builder.middle_block()
        self.output_blocks = builder.output_blocks(skip_widths)
        self.out = builder.out()
        self._attention_levels = builder.attention_levels

    def forward(self, x: Tensor, timesteps: Tensor, references: References = None) -> Tensor:
        """Predict the noise.

        Args:
            x: (batch, in_channels, height, width): the noisy latent, then the LQ latent. The deepest downsampling
                factor divides height and width.
            timesteps: (batch,), 0..999.
            references: See `References`. The images of a batch may have different numbers of references.

        Returns:
            (batch, out_channels, height, width) in x's type.

        Raises:
            ReferencesError: Another number of reference sets than images, or references that another model, other
                layers or another latent size gave.
        """
        references_of_images = self._references_of_images(references, x)

        def attend(layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            cached = [None if kv is None else kv.layers[layer] for kv in references_of_images]
            return attend_with_references(self.attention, q, k, v, cached)

        return self.out(self._features(x, timesteps, attend))

    def encode_references(self, latents: Tensor) -> ReferenceKV:
        """Build the CacheKV of reference latents: one U-Net pass for each, at t = 0 (paper section 3.2).

        Args:
            latents: (references, out_channels, height, width), from the first stage. A latent of zeros is the null
                reference of guidance.

        Returns:
            `ReferenceKV` with one reference for each latent, in the same order.

        Raises:
            ReferencesError: Latents with another number of channels.
        """
        if torch.is_grad_enabled():
            return self._reference_pass(latents)
        # No reference attends to another one in this pass, so its parts give the same result.
        parts = Parts("encode {} references").run(lambda part: self._reference_pass(latents[part]), len(latents))
        return parts[0] if len(parts) == 1 else ReferenceKV.concat(parts)

    def _reference_pass(self, latents: Tensor) -> ReferenceKV:
        count, channels, height, width = latents.shape
        if channels != self.spec.out_channels:
            raise ReferencesError(
                f"The latents of these references have {channels} channels.",
                expected=f"{self.spec.out_channels}, as the model's latents",
                remedy="build the references again from the photos with the model in use",
            )
        layers: dict[str, KeyValue] = {}

        def attend_and_record(layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            layers[layer] = KeyValue(_join_references(k), _join_references(v))
            return self.attention(q, k, v)

        # A reference takes the channels of the noisy latent. It has no LQ latent, so those channels are zero.
        x = F.pad(latents, (0, 0, 0, 0, 0, self.spec.in_channels - channels))
        # Blocks after the last attention layer produce no keys or values, so the pass ends there.
        attending = [i for i, block in enumerate(self.output_blocks, start=1) if block.attends]
        self._features(x, torch.zeros(count, device=x.device), attend_and_record, max(attending, default=0))
        return ReferenceKV(layers, count, (height, width), self.fingerprint)

    def reference_shapes(self, latent_size: tuple[int, int]) -> dict[str, tuple[int, int, int]]:
        """Return layer name -> (heads, tokens of one reference, head channels) of the CacheKV at a latent size."""
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

    def _features(self, x: Tensor, timesteps: Tensor, attend: Attend, output_blocks: int | None = None) -> Tensor:
        """Return the last feature map, of the first `output_blocks` output blocks or of all of them."""
        emb = self.time_embed(timestep_embedding(timesteps, self.spec.model_channels).to(x.dtype))
        if self.share_equal_images:
            skips = once_per_distinct_image(self._stem, x, timesteps, emb)
        else:
            skips = self._stem(x, emb)
        h = skips[-1]
        for block in self.input_blocks[len(skips) :]:
            h = block(h, emb, attend)
            skips.append(h)
        h = self.middle_block(h, emb, attend)
        for block in self.output_blocks[:output_blocks]:
            h = block(torch.cat([h, skips.pop()], dim=1), emb, attend)
        return h

    def _stem(self, x: Tensor, emb: Tensor) -> list[Tensor]:
        """Return the feature maps of the input blocks before the first attention layer."""
        h = x
        features: list[Tensor] = []
        for block in self.input_blocks:
            if block.attends:
                break
            h = block(h, emb, _no_attention)
            features.append(h)
        return features

    def _references_of_images(self, references: References, x: Tensor) -> Sequence[ReferenceKV | None]:
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
        if not torch.compiler.is_compiling():  # a comparison of names and shapes leaves nothing to compile
            shapes = self.reference_shapes((height, width))
            for kv in {id(kv): kv for kv in references if kv is not None}.values():  # one person may be in many images
                kv.require_layers(shapes)
        return references


def _no_attention(layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    raise AssertionError(f"{layer} attends, so it is not part of the stem")


def _join_references(t: Tensor) -> Tensor:
    """(references, heads, tokens, c) -> (heads, references * tokens, c)."""
    count, heads, tokens, channels = t.shape
    return t.transpose(0, 1).reshape(heads, count * tokens, channels).contiguous()
