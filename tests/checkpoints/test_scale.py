"""Scale factors other than 1 are accepted only where they apply to every latent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from refldm_core import embedded
from refldm_core.checkpoints.building import inspect_model, load_first_stage, load_model
from refldm_core.checkpoints.published import save_refldm
from refldm_core.checkpoints.saving import convert
from refldm_core.errors import CheckpointError

from ..weights import TinyFiles, tiny_tensors

SCALE = 0.6388
EMBEDDED_SCALE = 0.5376
"""The factor that training/refldm_begun.yaml measured (`scale_factor: auto`)."""


def write_published(tiny: TinyFiles, folder: Path, *, stored: float | None = None, **params: Any) -> tuple[Path, Path]:
    """Write a checkpoint and its config as the published code does, and return their paths.

    Args:
        tiny: The model to write.
        folder: The folder to write to.
        stored: Value of the tensor scale_factor. None leaves the tensor out, as without `scale_by_std`.
        params: Parameters that replace those of the config.
    """
    tensors = tiny_tensors()
    if stored is not None:
        tensors["scale_factor"] = torch.tensor(stored)
    content = yaml.safe_load(tiny.config.read_text(encoding="utf-8"))
    content["model"]["params"] |= params
    checkpoint, config = folder / "model.safetensors", folder / "model.yaml"
    save_file(tensors, checkpoint)
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    return checkpoint, config


def write_trained(tiny: TinyFiles, folder: Path, scale: float = SCALE) -> tuple[Path, Path]:
    """Write a checkpoint and its config as `refldm train` does, and return their paths."""
    model = load_model(tiny.ckpt, config=tiny.config)
    weights = model.unet.state_dict(), model.unet.state_dict(), model.first_stage.state_dict()
    checkpoint, config = save_refldm(folder, replace(model.spec, scale_factor=scale), *weights, updates=1)
    return checkpoint, config


@pytest.mark.parametrize(
    "parameters",
    [
        {"scale_factor": 0.5},
        {"scale_factor": 0.5, "scale_conditions": False, "stored": 0.5},
        {"scale_by_std": True, "stored": 0.5},
        {"scale_by_std": True, "scale_factor": 0.5, "stored": 0.5},
    ],
)
def test_models_of_the_published_code_are_refused(tiny: TinyFiles, tmp_path: Path, parameters: dict[str, Any]) -> None:
    checkpoint, config = write_published(tiny, tmp_path, **parameters)
    with pytest.raises(CheckpointError, match=r"scale factor 0\.5.*only the targets' latents") as caught:
        load_model(checkpoint, config=config)
    assert "refldm.yaml" in caught.value.remedy
    assert load_first_stage(checkpoint).spec == inspect_model(tiny.ckpt, config=tiny.config).spec.first_stage


def test_a_stored_factor_without_a_config_is_refused(tiny: TinyFiles, tmp_path: Path) -> None:
    checkpoint, _ = write_published(tiny, tmp_path, stored=0.5)
    with pytest.raises(CheckpointError, match=r"scale factor 0\.5"):
        inspect_model(checkpoint)


def test_a_factor_of_one_is_accepted_and_adds_no_parameter(tiny: TinyFiles, tmp_path: Path) -> None:
    checkpoint, config = write_published(tiny, tmp_path, scale_factor=1.0, stored=1.0)
    assert inspect_model(checkpoint, config=config).spec.scale_factor == 1.0
    _, config = write_trained(tiny, tmp_path, 1.0)
    assert "scale_conditions" not in yaml.safe_load(config.read_text(encoding="utf-8"))["model"]["params"]


def test_a_config_with_another_factor_than_the_checkpoint_is_refused(tiny: TinyFiles, tmp_path: Path) -> None:
    """The picture could be wrong with either factor."""
    checkpoint, config = write_published(tiny, tmp_path, scale_by_std=True, scale_factor=1.0, stored=0.5)
    with pytest.raises(CheckpointError, match=r"says scale_factor 1, the model file says 0\.5"):
        inspect_model(checkpoint, config=config)
    with pytest.raises(CheckpointError, match=r"scale_factor 1, the model file says 0\.5376"):
        inspect_model(embedded.require(embedded.RESTORER), config=config)


def test_a_trained_model_loads_with_and_without_its_config(tiny: TinyFiles, tmp_path: Path) -> None:
    checkpoint, config = write_trained(tiny, tmp_path)
    for config_or_none in (config, None):
        assert inspect_model(checkpoint, config=config_or_none).spec.scale_factor == pytest.approx(SCALE, abs=1e-6)
    converted = tmp_path / "converted.safetensors"
    convert(checkpoint, converted, config=config)
    for config_or_none in (config, None):
        assert inspect_model(converted, config=config_or_none).spec.scale_factor == SCALE
    # The published code has no such parameter, and refuses the config.
    assert yaml.safe_load(config.read_text(encoding="utf-8"))["model"]["params"]["scale_conditions"] is True


def test_a_model_of_an_earlier_trainer_loads_only_with_its_config(tiny: TinyFiles, tmp_path: Path) -> None:
    checkpoint, config = write_published(tiny, tmp_path, scale_factor=SCALE, stored=SCALE)
    assert inspect_model(checkpoint, config=config).spec.scale_factor == SCALE
    with pytest.raises(CheckpointError, match="scale factor"):
        inspect_model(checkpoint)


def test_the_embedded_model_keeps_its_factor() -> None:
    assert inspect_model(embedded.require(embedded.RESTORER)).spec.scale_factor == EMBEDDED_SCALE
