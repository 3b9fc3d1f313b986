"""Checkpoints of random weights, to try the commands and measure speed where the real files are not at hand."""

from __future__ import annotations

from pathlib import Path

import torch

from ..model.unet import UNet
from ..model.variants import ModelSpec
from ..model.vqgan import FirstStage
from .hints import metadata_of
from .layout import FIRST_STAGE_PREFIX, UNET_PREFIX
from .saving import write_safetensors


def write_random_model(path: Path, spec: ModelSpec, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
    """Write a model of untrained weights as one .safetensors file. What it restores looks like noise.

    Args:
        path: of the file; replaced only when the new one is whole.
        spec: of the model.
        seed: of the weights.
        dtype: of the tensors.

    Raises:
        OutputError: the file cannot be written.
    """
    with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]
        torch.default_generator.manual_seed(seed)
        parts = {UNET_PREFIX: UNet(spec.unet), FIRST_STAGE_PREFIX: FirstStage(spec.first_stage)}
    states = {prefix: module.state_dict() for prefix, module in parts.items()}
    tensors = {prefix + name: tensor.to(dtype) for prefix, state in states.items() for name, tensor in state.items()}
    write_safetensors(tensors, path, metadata_of(spec))
