"""Write models with random weights, to try the commands and to measure speed without the real files."""

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
    """Write a model with untrained weights as one .safetensors file. Its restored pictures look like noise.

    Args:
        path: Path of the file. An existing file is replaced only when the new one is complete.
        spec: Spec of the model.
        seed: Seed for the weights.
        dtype: Type of the tensors.

    Raises:
        OutputError: The file cannot be written.
    """
    with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]
        torch.default_generator.manual_seed(seed)
        parts = {UNET_PREFIX: UNet(spec.unet), FIRST_STAGE_PREFIX: FirstStage(spec.first_stage)}
    states = {prefix: module.state_dict() for prefix, module in parts.items()}
    tensors = {prefix + name: tensor.to(dtype) for prefix, state in states.items() for name, tensor in state.items()}
    write_safetensors(tensors, path, metadata_of(spec))
