"""Models in float64, where only a mistake makes two equal computations differ."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from refldm_core.model.unet import UNet, UNetSpec
from refldm_core.pipeline import Restorer

EXACT = 1e-12
"""Largest difference between two equal computations."""


def exact_restorer(restorer: Restorer, spec: UNetSpec) -> Restorer:
    """Return a restorer with a random U-Net in float64, and the first stage of another restorer."""
    torch.manual_seed(0)
    return Restorer(UNet(spec).double(), restorer.first_stage, replace(restorer.spec, unet=spec))


def random_tensor(*shape: int, seed: int) -> Tensor:
    """Return normal noise in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
