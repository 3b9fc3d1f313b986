"""The spec and the tensors of the tiny model."""

from __future__ import annotations

import pytest
from torch import Tensor

from refldm_core.model.unet import UNetSpec
from refldm_core.model.variants import ModelSpec
from refldm_core.model.vqgan import FirstStageSpec

from ..weights import tiny_tensors

TINY = ModelSpec(
    UNetSpec(model_channels=32, num_res_blocks=1, num_head_channels=16),
    FirstStageSpec(channels=32, num_res_blocks=1, codebook_size=64),
    latent_size=16,
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return tiny_tensors()
