"""Load or build the networks that the training of the diffusion model starts from."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..checkpoints.building import load_first_stage, load_model
from ..data.corpus import Corpus
from ..data.groups import stack
from ..diffusion.schedule import NoiseSpec
from ..images import u8_to_tensor
from ..model.attention import AttentionBlock, fused_attention
from ..model.unet import UNet
from ..model.unet_blocks import ResBlock
from ..model.variants import ModelSpec
from ..model.vqgan import FirstStage
from .spec import TrainSpec
from .task import TrainingError


def build_networks(spec: TrainSpec, corpus: Corpus) -> tuple[UNet, FirstStage, ModelSpec]:
    """Return the U-Net to train, its frozen first stage, and the spec of both.

    Raises:
        TrainingError: the config names no first stage, or the size of the pictures does not fit the model.
        CheckpointError: a model file cannot be used.
    """
    diffusion = spec.diffusion
    path = Path(diffusion.first_stage) if diffusion.first_stage else None
    if diffusion.init:
        config = Path(diffusion.init_config) if diffusion.init_config else None
        loaded = load_model(Path(diffusion.init), path, config, weights=diffusion.init_weights)
        loaded.first_stage.requires_grad_(False)
        model = replace(loaded.spec, noise=diffusion.noise) if diffusion.noise else loaded.spec
        if diffusion.resize:
            model = replace(model, latent_size=spec.corpus.size // model.first_stage.downsampling)
        if diffusion.scale_factor == "auto":
            model = replace(model, scale_factor=_scale_factor(corpus, loaded.first_stage))
        _require_size(spec, model)
        return loaded.unet.train(), loaded.first_stage, model
    if path is None:
        raise TrainingError(
            "The config names no first stage.",
            expected="diffusion.first_stage (a trained VQGAN), or diffusion.init (a complete model)",
            remedy="train a first stage (task: first_stage), or use the official vqgan.ckpt",
        )
    first_stage = load_first_stage(path).requires_grad_(False)
    scale = _scale_factor(corpus, first_stage) if diffusion.scale_factor == "auto" else diffusion.scale_factor
    channels = first_stage.spec.embed_dim
    shape = replace(diffusion.unet, in_channels=2 * channels, out_channels=channels)
    latent_size = spec.corpus.size // first_stage.spec.downsampling
    model = ModelSpec(shape, first_stage.spec, diffusion.noise or NoiseSpec(), latent_size, scale)
    _require_size(spec, model)
    unet = UNet(model.unet, attention=fused_attention)
    _zero_last_layers(unet)
    return unet, first_stage, model


def _require_size(spec: TrainSpec, model: ModelSpec) -> None:
    if spec.corpus.size != model.crop_size:
        raise TrainingError(
            f"corpus.size is {spec.corpus.size}.",
            expected=f"{model.crop_size}, the size of the model's crops",
            remedy="change corpus.size, or set diffusion.resize: true to train the model for another size",
        )


def _zero_last_layers(unet: UNet) -> None:
    """Let each residual branch and the output start from zero, as published (arXiv 2105.05233)."""
    for module in unet.modules():
        if isinstance(module, ResBlock):
            nn.init.zeros_(module.out_layers[-1].weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(module.out_layers[-1].bias)  # pyright: ignore[reportArgumentType]
        elif isinstance(module, AttentionBlock):
            nn.init.zeros_(module.proj_out.weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(module.proj_out.bias)  # pyright: ignore[reportArgumentType]
    nn.init.zeros_(unet.out[-1].weight)  # pyright: ignore[reportArgumentType]
    nn.init.zeros_(unet.out[-1].bias)  # pyright: ignore[reportArgumentType]


@torch.no_grad()
def _scale_factor(corpus: Corpus, first_stage: FirstStage) -> float:
    """Return 1 / the standard deviation of the latents of 64 targets spread over the corpus."""
    targets = [corpus.targets[int(i)] for i in np.linspace(0, len(corpus.targets) - 1, 64)]
    pictures = stack([corpus.picture(target.picture)[None] for target in targets])
    latents = torch.cat([first_stage.encode(u8_to_tensor(part)) for part in pictures.split(8)])
    return float(f"{1.0 / latents.std().item():.4g}")


def checkpoint_blocks(unet: UNet) -> None:
    """Store only the inputs of the U-Net's blocks for the backward pass, which computes the rest again."""
    for block in [*unet.input_blocks, unet.middle_block, *unet.output_blocks]:
        original = block.forward
        setattr(block, "forward", partial(checkpoint, original, use_reentrant=False))  # noqa: B010 (another type)
