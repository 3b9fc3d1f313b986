"""Fixtures of the training tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.model.unet import UNetSpec
from refldm_core.model.variants import ModelSpec
from refldm_core.model.vqgan import FirstStageSpec

from .runs import FIRST_STAGE, SIZE, UNET, with_tuples


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model of random weights."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    first_stage = FirstStageSpec(**with_tuples(FIRST_STAGE))
    unet = UNetSpec(in_channels=8, out_channels=4, **with_tuples(UNET))
    write_random_model(path, ModelSpec(unet, first_stage, latent_size=SIZE // 2))
    return path
