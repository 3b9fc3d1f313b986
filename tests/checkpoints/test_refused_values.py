"""Values without meaning in configs, metadata and noise tables are refused, and the error names their source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.hints import METADATA_KEY, metadata_of
from refldm_core.errors import CheckpointError

from ..weights import TinyFiles
from .conftest import TINY

CONFIGS = {
    "missing": (None, "no config"),
    "not yaml": ("a: [", "cannot be used"),
    "another layout": ("model: {}", "cannot be used"),
    "new attention order": ("num_head_channels: 16", "use_new_attention_order"),
    "another width": ("model_channels: 32", "says model_channels 64"),
    "not a number": ("image_size: 16", r"latent_size is 'many' \(image_size in config config\.yaml\)"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_bad_configs_are_refused(case: str, tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text, message = CONFIGS[case]
    valid_config = tiny.config.read_text(encoding="utf-8")
    replacements = {
        "new attention order": "num_head_channels: 16\n        use_new_attention_order: true",
        "another width": "model_channels: 64",
        "not a number": "image_size: many",
    }
    if case in replacements:
        assert text in valid_config
        path.write_text(valid_config.replace(str(text), replacements[case]), encoding="utf-8")
    elif text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        load_model(tiny.ckpt, config=path)


def _save_with_metadata(path: Path, tensors: dict[str, Tensor], section: str, name: str, value: object) -> None:
    """Save the tensors with the metadata of the tiny model, in which one value is replaced."""
    spec = json.loads(metadata_of(TINY)[METADATA_KEY])
    (spec[section] if section else spec)[name] = value
    save_file(tensors, path, {METADATA_KEY: json.dumps(spec)})


HUGE = 10**4000
NUMBERS: list[tuple[str, str, object]] = [
    ("", "scale_factor", float("nan")),
    ("", "scale_factor", 0),
    ("", "scale_factor", -1.0),
    ("", "scale_factor", 1e300),
    ("", "scale_factor", True),
    ("noise", "linear_start", 0.0),
    ("noise", "linear_start", "x"),
    ("noise", "linear_end", 1.0),
    ("noise", "linear_end", 0.9),  # in range, but the last timestep would have nothing of the picture
    ("noise", "linear_end", 1e-5),  # in range, but below linear_start
    ("noise", "timesteps", 0),
    ("noise", "timesteps", 2_000_000_000),
    ("noise", "timesteps", float("inf")),
    ("noise", "timesteps", 999.5),
    ("unet", "num_head_channels", 0),
    ("unet", "num_head_channels", -1),
    ("unet", "num_head_channels", [16]),
    ("", "latent_size", 0),
    ("", "latent_size", 1_000_000_000),
    ("", "latent_size", float("inf")),
    ("", "latent_size", 20),  # in range, but the U-Net halves it three times
    ("", "latent_size", 8),  # its lowest level would have a single pixel
    ("", "latent_size", HUGE),
]


@pytest.mark.parametrize(("section", "name", "value"), NUMBERS)
def test_numbers_without_meaning_in_metadata_are_refused(
    section: str, name: str, value: object, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "bad.safetensors"
    _save_with_metadata(path, tensors, section, name, value)
    with pytest.raises(CheckpointError, match=rf"^{name} is .*\(the file's metadata\)") as caught:
        load_model(path)
    assert caught.value.expected and caught.value.remedy and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "replacement", "message"),
    [
        ("timesteps: 1000", "timesteps: 2000000000", "timesteps is 2000000000"),
        ("timesteps: 1000", "timesteps: 2024-01-02", "timesteps is a date"),
        ("linear_end: 0.0155", "linear_end: 1.0", "linear_end is 1.0"),
        ("linear_end: 0.0155", "linear_end: .inf", "linear_end is inf"),
        ("image_size: 16", "image_size: 0", "latent_size is 0"),
        ("num_head_channels: 16", "num_head_channels: -1", "num_head_channels is -1"),
        ("channel_mult:", "channel_mult: 5\n        unused:", "says channel_mult 5"),
    ],
)
def test_numbers_without_meaning_in_a_config_are_refused(
    text: str, replacement: str, message: str, tiny: TinyFiles, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    valid_config = tiny.config.read_text(encoding="utf-8")
    assert text in valid_config
    path.write_text(valid_config.replace(text, replacement), encoding="utf-8")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(tiny.ckpt, config=path)
    assert "config.yaml" in caught.value.problem


BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))])


@pytest.mark.parametrize("place", ["params", "channel_mult"])
def test_alias_bombs_in_a_config_are_refused(place: str, tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    valid_config = tiny.config.read_text(encoding="utf-8")
    configs = {
        "params": "model:\n  params: *a11",
        "channel_mult": valid_config.replace("channel_mult:", "channel_mult: *a11\n        unused:"),
    }
    path.write_text(f"{BOMB}\n{configs[place]}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"cannot be used \(it has more than 10,000 values") as caught:
        load_model(tiny.ckpt, config=path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["model: {params: x}", "model: {params: {unet_config: {params: [1]}}}", "5", "", "[]"])
def test_configs_of_another_form_are_refused(text: str, tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match="cannot be used"):
        load_model(tiny.ckpt, config=path)


TABLES: dict[str, tuple[dict[str, Tensor], str]] = {
    "nan": ({"betas": torch.full((1000,), float("nan"))}, "linear_start is nan"),
    "one": ({"betas": torch.ones(1000)}, "linear_start is 1.0"),
    "long": ({"betas": torch.full((200_000,), 1e-3)}, "timesteps is 200000"),
    "scale nan": ({"scale_factor": torch.tensor(float("nan"))}, "scale_factor is nan"),
    "several scales": ({"scale_factor": torch.ones(2)}, "scale_factor is nan"),
}


@pytest.mark.parametrize("case", TABLES)
def test_noise_tables_without_meaning_are_refused(case: str, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    tables, message = TABLES[case]
    path = tmp_path / "bad.safetensors"
    save_file({**tensors, **tables}, path)
    with pytest.raises(CheckpointError, match=rf"{message} \(the file's noise tables\)"):
        load_model(path)


def test_head_channels_that_do_not_divide_the_width_are_refused(tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        tiny.config.read_text(encoding="utf-8").replace("num_head_channels: 16", "num_head_channels: 24"),
        encoding="utf-8",
    )
    with pytest.raises(CheckpointError, match="heads of 24 channels"):
        load_model(tiny.ckpt, config=path)


def test_damaged_metadata_are_refused(tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_file(tensors, path, {"refldm.spec": json.dumps({"unet": {}})})
    with pytest.raises(CheckpointError, match=r"metadata refldm\.spec cannot be read"):
        load_model(path)
    for text in ("[" * 100_000, "[]", "null", "9" * 5000):
        save_file(tensors, path, {"refldm.spec": text})
        with pytest.raises(CheckpointError, match=r"metadata refldm\.spec cannot be read") as caught:
            load_model(path)
        assert len(str(caught.value)) < 400
