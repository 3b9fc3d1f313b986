"""Files in every layout that the official ones come in load; everything else is refused with a reason."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.checkpoints.building import LoadedModel, inspect_file, load_model
from refldm_core.checkpoints.hints import METADATA_KEY, metadata_of
from refldm_core.checkpoints.saving import convert
from refldm_core.errors import CheckpointError, OutputError, UnsafeCheckpointError
from refldm_core.model.unet import UNetSpec
from refldm_core.model.variants import ModelSpec
from refldm_core.model.vqgan import FirstStageSpec

from ..weights import TinyFiles, tiny_tensors

TINY = ModelSpec(
    UNetSpec(model_channels=32, num_res_blocks=1, num_head_channels=16),
    FirstStageSpec(channels=32, num_res_blocks=1, codebook_size=64),
    latent_size=16,
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return tiny_tensors()


@pytest.fixture(scope="module")
def loaded(tiny: TinyFiles) -> LoadedModel:
    return load_model(tiny.ckpt, config=tiny.config)


def _same(a: LoadedModel, b: LoadedModel) -> bool:
    pairs = [(a.unet, b.unet), (a.first_stage, b.first_stage)]
    return all(
        torch.equal(x, y)
        for p, q in pairs
        for x, y in zip(p.state_dict().values(), q.state_dict().values(), strict=True)
    )


def test_spec_and_ema(loaded: LoadedModel, tensors: dict[str, Tensor]) -> None:
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
def test_layouts(layout: str, tiny: TinyFiles, tensors: dict[str, Tensor], loaded: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(LAYOUTS[layout](dict(tensors)), path)
    assert _same(load_model(path, config=tiny.config), loaded)


def test_old_pickle_format(tiny: TinyFiles, tensors: dict[str, Tensor], loaded: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    assert _same(load_model(path, config=tiny.config), loaded)


def test_the_name_does_not_matter(tiny: TinyFiles, loaded: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(tiny.safetensors.read_bytes())
    assert _same(load_model(path, config=tiny.config), loaded)


def test_without_ema(tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "raw.safetensors"
    save_file({n: t for n, t in tensors.items() if not n.startswith("model_ema")}, path)
    raw = load_model(path, config=tiny.config)
    assert raw.weights == "raw"
    assert _same(raw, load_model(tiny.ckpt, config=tiny.config, weights="raw"))
    assert raw.unet.fingerprint != load_model(tiny.ckpt, config=tiny.config).unet.fingerprint


def test_first_stage_beside(tiny: TinyFiles, tensors: dict[str, Tensor], loaded: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "unet.safetensors"
    save_file({n: t for n, t in tensors.items() if not n.startswith("first_stage")}, path)
    assert inspect_file(path).missing == ["first stage"]
    assert _same(load_model(path, tiny.vqgan, tiny.config), loaded)
    with pytest.raises(CheckpointError, match="no first stage") as caught:
        load_model(path, config=tiny.config)
    assert "--vqgan" in caught.value.remedy
    with pytest.raises(CheckpointError, match="without a U-Net"):
        load_model(tiny.vqgan)


def test_a_named_first_stage_goes_before_the_one_inside(
    tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    other = {n.removeprefix("first_stage_model."): t for n, t in tensors.items() if n.startswith("first_stage")}
    other["quant_conv.bias"] = other["quant_conv.bias"] + 1.0
    save_file(other, tmp_path / "other.safetensors")
    model = load_model(tiny.ckpt, tmp_path / "other.safetensors", tiny.config)
    assert torch.equal(model.first_stage.quant_conv.bias, other["quant_conv.bias"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_convert(dtype: torch.dtype, tiny: TinyFiles, loaded: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    done = convert(tiny.ckpt, path, config=tiny.config, dtype=dtype)
    again = load_model(path)  # no config: the file says it all
    assert done.spec == again.spec == TINY
    assert done.weights == again.weights == "ema"
    assert done.fingerprint == again.unet.fingerprint == loaded.unet.fingerprint
    stored = load_file(path)
    assert stored["model.diffusion_model.out.2.bias"].dtype == dtype
    codebook = stored["first_stage_model.quantize.embedding.weight"]
    assert torch.equal(codebook, loaded.first_stage.quantize.embedding.weight)
    if dtype == torch.float32:
        assert _same(again, loaded)
    convert(path, tmp_path / "twice.safetensors", dtype=dtype)
    twice = load_file(tmp_path / "twice.safetensors")
    assert twice.keys() == stored.keys() and all(torch.equal(twice[n], stored[n]) for n in stored)


def test_dtype_and_precedence_of_config(tiny: TinyFiles, tmp_path: Path) -> None:
    model = load_model(tiny.ckpt, config=tiny.config, dtype=torch.bfloat16)
    assert model.unet.out[2].weight.dtype == torch.bfloat16
    assert model.first_stage.decoder.conv_out.weight.dtype == torch.bfloat16
    assert model.first_stage.quantize.embedding.weight.dtype == torch.float32
    half = load_model(tiny.ckpt, config=tiny.config, dtype=torch.float16)
    assert half.first_stage.decoder.conv_out.weight.dtype == torch.float32
    path = tmp_path / "one.safetensors"
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


def test_noise_is_read_from_the_tables(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    betas = torch.linspace(0.002**0.5, 0.02**0.5, 500, dtype=torch.float64) ** 2
    save_file({**tensors, "betas": betas.float()}, path)
    noise = inspect_file(path).hints.noise
    assert (noise.timesteps, noise.linear_start, noise.linear_end) == (500, 0.002, 0.02)


class Evil:
    """Would create a file if a loader executed it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_code_is_not_run(zipped: bool, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    target, path = tmp_path / "owned", tmp_path / "evil.ckpt"
    torch.save({**tensors, "hook": Evil(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeCheckpointError, match=r"asks to run code .*\(it names \w+") as caught:
        load_model(path)
    assert "state_dict" in caught.value.remedy
    assert not target.exists()


def _truncated(files: TinyFiles, path: Path) -> None:
    path.write_bytes(files.ckpt.read_bytes()[:100_000])


def _truncated_safetensors(files: TinyFiles, path: Path) -> None:
    path.write_bytes(files.safetensors.read_bytes()[:-1000])


def _plain_pickle(files: TinyFiles, path: Path) -> None:
    path.write_bytes(pickle.dumps([1, 2, 3], protocol=2))


BAD_FILES: dict[str, tuple[Callable[[TinyFiles, Path], object], str]] = {
    "missing": (lambda f, p: None, "no file"),
    "folder": (lambda f, p: p.mkdir(), "folder"),
    "empty": (lambda f, p: p.touch(), "is empty"),
    "text": (lambda f, p: p.write_text("hello " * 100, encoding="utf-8"), "not a model file"),
    "web page": (lambda f, p: p.write_text("<!DOCTYPE html><html>", encoding="utf-8"), "web page"),
    "git lfs pointer": (
        lambda f, p: p.write_text("version https://git-lfs.github.com/spec/v1", encoding="utf-8"),
        "Git LFS pointer",
    ),
    "truncated": (_truncated, "damaged or cut short"),
    "truncated safetensors": (_truncated_safetensors, "damaged or cut short"),
    "a list": (_plain_pickle, "damaged or cut short"),
    "no tensors": (lambda f, p: torch.save({"a": 1}, p), "neither a ReF-LDM"),
    "another model": (
        lambda f, p: save_file({"model.diffusion_model.double_blocks.0.weight": torch.ones(2)}, p),
        "input_blocks.0.0.weight is missing",
    ),
    "unrelated tensors": (lambda f, p: save_file({"weight": torch.ones(2)}, p), "neither a ReF-LDM"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(case: str, tiny: TinyFiles, tmp_path: Path) -> None:
    make, says = BAD_FILES[case]
    path = tmp_path / "bad.ckpt"
    make(tiny, path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_model(path)
    assert caught.value.expected and caught.value.remedy


def _with(name: str, value: Tensor) -> Change:
    return lambda tensors: {**tensors, name: value}


def _without(*names: str) -> Change:
    return lambda tensors: {n: t for n, t in tensors.items() if n not in names}


def _nan(name: str) -> Change:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        broken = tensors[name].clone()
        broken.view(-1)[0] = float("nan")
        return {**tensors, name: broken}

    return change


_EMA = "model_ema.diffusion_modelinput_blocks300"
BAD_TENSORS: dict[str, tuple[Change, str]] = {
    "missing tensor": (_without("model.diffusion_model.out.2.bias"), r"1 missing \(out.2.bias\)"),
    "missing block": (
        _without("model.diffusion_model.middle_block.1.qkv.weight", "first_stage_model.quant_conv.bias"),
        r"1 missing \(middle_block.1.qkv.weight\)",
    ),
    "first stage incomplete": (_without("first_stage_model.quant_conv.bias"), r"1 missing \(quant_conv.bias\)"),
    "no codebook": (_without("first_stage_model.quantize.embedding.weight"), "quantize.embedding.weight is missing"),
    "wrong shape": (
        _with("model.diffusion_model.out.0.bias", torch.zeros(64)),
        r"1 of another shape \(out.0.bias \(64,\), not \(32,\)\)",
    ),
    "extra tensor": (_with("first_stage_model.extra.weight", torch.zeros(1)), r"1 unexpected \(extra.weight\)"),
    "unknown part": (
        _with("text_encoder.weight", torch.zeros(1)),
        r"belong to no part of ReF-LDM.*text_encoder.weight",
    ),
    "nan in use": (_nan("model_ema.diffusion_modelout2bias"), "out.2.bias in .* not finite"),
    "nan in first stage": (_nan("first_stage_model.decoder.conv_out.bias"), "decoder.conv_out.bias in .* not finite"),
    "ema incomplete": (_without("model_ema.diffusion_modelout2bias"), "EMA copy .* lacks 1"),
    "other latent": (
        _with("first_stage_model.quantize.embedding.weight", torch.zeros(64, 4)),
        "first stage's tensors do not fit",
    ),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_bad_tensors(case: str, tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    change, says = BAD_TENSORS[case]
    path = tmp_path / "bad.safetensors"
    save_file(change(dict(tensors)), path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_model(path, config=tiny.config)
    assert caught.value.expected and caught.value.remedy


def test_values_that_a_type_cannot_hold(tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    name = "first_stage_model.decoder.conv_out.bias"
    save_file({**tensors, name: tensors[name] + 1e6}, tmp_path / "large.safetensors")
    with pytest.raises(CheckpointError, match=r"float16 cannot hold") as caught:
        convert(tmp_path / "large.safetensors", tmp_path / "out.safetensors", config=tiny.config, dtype=torch.float16)
    assert "bfloat16" in caught.value.remedy
    assert not (tmp_path / "out.safetensors").exists()


def test_convert_into_a_missing_folder(tiny: TinyFiles, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        convert(tiny.ckpt, tmp_path / "no" / "out.safetensors", config=tiny.config)


CONFIGS = {
    "missing": (None, "no config"),
    "not yaml": ("a: [", "cannot be used"),
    "another layout": ("model: {}", "cannot be used"),
    "new attention order": ("num_head_channels: 16", "use_new_attention_order"),
    "another width": ("model_channels: 32", "says model_channels 64"),
    "not a number": ("image_size: 16", r"latent_size is 'many' \(image_size in config config\.yaml\)"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_bad_configs(case: str, tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text, says = CONFIGS[case]
    good = tiny.config.read_text(encoding="utf-8")
    replaced = {
        "new attention order": "num_head_channels: 16\n        use_new_attention_order: true",
        "another width": "model_channels: 64",
        "not a number": "image_size: many",
    }
    if case in replaced:
        assert text in good
        path.write_text(good.replace(str(text), replaced[case]), encoding="utf-8")
    elif text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=says):
        load_model(tiny.ckpt, config=path)


def _metadata(path: Path, tensors: dict[str, Tensor], section: str, name: str, value: object) -> None:
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
    ("noise", "linear_end", 0.9),  # in range, but nothing of the picture would be left
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
    ("", "latent_size", HUGE),
]


@pytest.mark.parametrize(("section", "name", "value"), NUMBERS)
def test_numbers_without_meaning_in_metadata(
    section: str, name: str, value: object, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "bad.safetensors"
    _metadata(path, tensors, section, name, value)
    with pytest.raises(CheckpointError, match=rf"^{name} is .*\(the file's metadata\)") as caught:
        load_model(path)
    assert caught.value.expected and caught.value.remedy and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("old", "new", "says"),
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
def test_numbers_without_meaning_in_a_config(old: str, new: str, says: str, tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    good = tiny.config.read_text(encoding="utf-8")
    assert old in good
    path.write_text(good.replace(old, new), encoding="utf-8")
    with pytest.raises(CheckpointError, match=says) as caught:
        load_model(tiny.ckpt, config=path)
    assert "config.yaml" in caught.value.problem


BOMB = "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))])


@pytest.mark.parametrize("where", ["model:\n  params: *a11", "channel_mult"])
def test_alias_bombs_in_a_config(where: str, tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    good = tiny.config.read_text(encoding="utf-8")
    rest = good.replace("channel_mult:", "channel_mult: *a11\n        unused:") if where == "channel_mult" else where
    path.write_text(f"{BOMB}\n{rest}", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"cannot be used \(it has more than 10,000 values") as caught:
        load_model(tiny.ckpt, config=path)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["model: {params: x}", "model: {params: {unet_config: {params: [1]}}}", "5", "", "[]"])
def test_configs_of_another_form(text: str, tiny: TinyFiles, tmp_path: Path) -> None:
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
def test_noise_tables_without_meaning(case: str, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    change, says = TABLES[case]
    path = tmp_path / "bad.safetensors"
    save_file({**tensors, **change}, path)
    with pytest.raises(CheckpointError, match=rf"{says} \(the file's noise tables\)"):
        load_model(path)


@pytest.mark.parametrize("shape", [(64,), (64, 8, 1), (0, 8)])
def test_a_codebook_of_another_rank(shape: tuple[int, ...], tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({**tensors, "first_stage_model.quantize.embedding.weight": torch.zeros(shape)}, path)
    with pytest.raises(CheckpointError, match=r"quantize\.embedding\.weight has the shape"):
        load_model(path)


@pytest.mark.parametrize("shape", [(32,), (0, 16, 3, 3)])
def test_a_first_weight_of_another_rank(shape: tuple[int, ...], tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({**tensors, "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(shape)}, path)
    with pytest.raises(CheckpointError, match=r"input_blocks\.0\.0\.weight has the shape"):
        load_model(path)


def test_a_head_size_that_does_not_divide(tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        tiny.config.read_text(encoding="utf-8").replace("num_head_channels: 16", "num_head_channels: 24"),
        encoding="utf-8",
    )
    with pytest.raises(CheckpointError, match="heads of 24 channels"):
        load_model(tiny.ckpt, config=path)


def test_damaged_metadata(tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    save_file(tensors, path, {"refldm.spec": json.dumps({"unet": {}})})
    with pytest.raises(CheckpointError, match=r"metadata refldm\.spec cannot be read"):
        load_model(path)
    for text in ("[" * 100_000, "[]", "null", "9" * 5000):
        save_file(tensors, path, {"refldm.spec": text})
        with pytest.raises(CheckpointError, match=r"metadata refldm\.spec cannot be read") as caught:
            load_model(path)
        assert len(str(caught.value)) < 400
