"""Files load in every layout of the official files, and `convert` keeps their content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.checkpoints.building import LoadedModel, inspect_file, load_model
from refldm_core.checkpoints.saving import convert
from refldm_core.errors import CheckpointError, OutputError

from ..weights import TinyFiles
from .conftest import TINY


@pytest.fixture(scope="module")
def loaded(tiny: TinyFiles) -> LoadedModel:
    return load_model(tiny.ckpt, config=tiny.config)


def _have_equal_weights(first: LoadedModel, second: LoadedModel) -> bool:
    states = [
        (first.unet.state_dict(), second.unet.state_dict()),
        (first.first_stage.state_dict(), second.first_stage.state_dict()),
    ]
    return all(
        torch.equal(first_tensor, second_tensor)
        for first_state, second_state in states
        for first_tensor, second_tensor in zip(first_state.values(), second_state.values(), strict=True)
    )


def test_the_spec_is_detected_and_the_ema_copy_is_loaded(loaded: LoadedModel, tensors: dict[str, Tensor]) -> None:
    assert loaded.spec == TINY
    assert loaded.weights == "ema"
    assert torch.equal(loaded.unet.out[2].bias, tensors["model_ema.diffusion_modelout2bias"])
    assert not loaded.unet.training and not loaded.first_stage.training


Change = Callable[[dict[str, Any]], dict[str, Any]]

LAYOUTS: dict[str, Change] = {
    "bare": lambda t: t,
    "under state_dict": lambda t: {"state_dict": t, "epoch": 3, "global_step": 7, "hyper_parameters": {"a": [1, 2]}},
    "extra losses": lambda t: {**t, "loss.logvar": torch.zeros(1), "perceptual_loss.net.weight": torch.ones(3)},
    "no noise tables": lambda t: {n: v for n, v in t.items() if n.startswith(("model", "first_stage"))},
    "parameters": lambda t: {n: torch.nn.Parameter(v, requires_grad=v.is_floating_point()) for n, v in t.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_loads_the_same_weights(
    layout: str, tiny: TinyFiles, tensors: dict[str, Tensor], loaded: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(LAYOUTS[layout](dict(tensors)), path)
    assert _have_equal_weights(load_model(path, config=tiny.config), loaded)


def test_the_legacy_pickle_format_loads(
    tiny: TinyFiles, tensors: dict[str, Tensor], loaded: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    assert _have_equal_weights(load_model(path, config=tiny.config), loaded)


def test_the_content_and_not_the_name_decides_the_format(tiny: TinyFiles, loaded: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(tiny.safetensors.read_bytes())
    assert _have_equal_weights(load_model(path, config=tiny.config), loaded)


def test_a_file_without_ema_copy_loads_its_raw_weights(
    tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "raw.safetensors"
    save_file({n: t for n, t in tensors.items() if not n.startswith("model_ema")}, path)
    raw = load_model(path, config=tiny.config)
    assert raw.weights == "raw"
    assert _have_equal_weights(raw, load_model(tiny.ckpt, config=tiny.config, weights="raw"))
    assert raw.unet.fingerprint != load_model(tiny.ckpt, config=tiny.config).unet.fingerprint


def test_the_first_stage_may_be_a_separate_file(
    tiny: TinyFiles, tensors: dict[str, Tensor], loaded: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "unet.safetensors"
    save_file({n: t for n, t in tensors.items() if not n.startswith("first_stage")}, path)
    assert inspect_file(path).missing == ["first stage"]
    assert _have_equal_weights(load_model(path, tiny.vqgan, tiny.config), loaded)
    with pytest.raises(CheckpointError, match="no first stage") as caught:
        load_model(path, config=tiny.config)
    assert "--vqgan" in caught.value.remedy
    with pytest.raises(CheckpointError, match="without a U-Net"):
        load_model(tiny.vqgan)


def test_a_named_first_stage_has_precedence_over_the_one_in_the_model(
    tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    first_stage = {n.removeprefix("first_stage_model."): t for n, t in tensors.items() if n.startswith("first_stage")}
    first_stage["quant_conv.bias"] = first_stage["quant_conv.bias"] + 1.0
    save_file(first_stage, tmp_path / "first_stage.safetensors")
    model = load_model(tiny.ckpt, tmp_path / "first_stage.safetensors", tiny.config)
    assert torch.equal(model.first_stage.quant_conv.bias, first_stage["quant_conv.bias"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_conversion_keeps_spec_fingerprint_and_codebook(
    dtype: torch.dtype, tiny: TinyFiles, loaded: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "converted.safetensors"
    conversion = convert(tiny.ckpt, path, config=tiny.config, dtype=dtype)
    reloaded = load_model(path)  # needs no config: the file has the whole spec
    assert conversion.spec == reloaded.spec == TINY
    assert conversion.weights == reloaded.weights == "ema"
    assert conversion.fingerprint == reloaded.unet.fingerprint == loaded.unet.fingerprint
    stored = load_file(path)
    assert stored["model.diffusion_model.out.2.bias"].dtype == dtype
    codebook = stored["first_stage_model.quantize.embedding.weight"]
    assert torch.equal(codebook, loaded.first_stage.quantize.embedding.weight)
    if dtype == torch.float32:
        assert _have_equal_weights(reloaded, loaded)
    convert(path, tmp_path / "twice.safetensors", dtype=dtype)
    twice = load_file(tmp_path / "twice.safetensors")
    assert twice.keys() == stored.keys() and all(torch.equal(twice[n], stored[n]) for n in stored)


def test_each_network_is_loaded_in_its_type(tiny: TinyFiles) -> None:
    model = load_model(tiny.ckpt, config=tiny.config, dtype=torch.bfloat16)
    assert model.unet.out[2].weight.dtype == torch.bfloat16
    assert model.first_stage.decoder.conv_out.weight.dtype == torch.bfloat16
    assert model.first_stage.quantize.embedding.weight.dtype == torch.float32
    half = load_model(tiny.ckpt, config=tiny.config, dtype=torch.float16)
    assert half.first_stage.decoder.conv_out.weight.dtype == torch.float32


def test_a_config_has_precedence_over_metadata_and_these_over_the_released_values(
    tiny: TinyFiles, tmp_path: Path
) -> None:
    path = tmp_path / "converted.safetensors"
    convert(tiny.ckpt, path, config=tiny.config)
    config = tmp_path / "other.yaml"
    config.write_text(
        tiny.config.read_text(encoding="utf-8").replace("num_head_channels: 16", "num_head_channels: 8"),
        encoding="utf-8",
    )
    assert load_model(path, config=config).spec.unet.num_head_channels == 8
    hints = inspect_file(path).hints
    assert hints.values["latent_size"] == 16 and "metadata" in hints.reasons["latent_size"]
    hints = inspect_file(tiny.ckpt).hints
    assert hints.values["latent_size"] == 64 and "released" in hints.reasons["latent_size"]
    assert "noise tables" in hints.reasons["linear_end"]


def test_the_noise_spec_is_read_from_the_tables(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    betas = torch.linspace(0.002**0.5, 0.02**0.5, 500, dtype=torch.float64) ** 2
    save_file({**tensors, "betas": betas.float()}, path)
    noise = inspect_file(path).hints.noise
    assert (noise.timesteps, noise.linear_start, noise.linear_end) == (500, 0.002, 0.02)


def test_a_conversion_refuses_values_that_the_type_cannot_hold(
    tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    name = "first_stage_model.decoder.conv_out.bias"
    save_file({**tensors, name: tensors[name] + 1e6}, tmp_path / "large.safetensors")
    with pytest.raises(CheckpointError, match=r"float16 cannot hold") as caught:
        convert(tmp_path / "large.safetensors", tmp_path / "out.safetensors", config=tiny.config, dtype=torch.float16)
    assert "bfloat16" in caught.value.remedy
    assert not (tmp_path / "out.safetensors").exists()


def test_a_conversion_into_a_missing_folder_is_an_output_error(tiny: TinyFiles, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        convert(tiny.ckpt, tmp_path / "no" / "out.safetensors", config=tiny.config)
