"""Files and tensors that cannot be loaded are refused with a reason and a remedy."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from refldm_core.checkpoints.building import load_model
from refldm_core.errors import CheckpointError, UnsafeCheckpointError

from ..weights import TinyFiles

Change = Callable[[dict[str, Any]], dict[str, Any]]


class Evil:
    """An object whose pickle creates a file if a loader runs it."""

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
    "missing": (lambda files, path: None, "no file"),
    "folder": (lambda files, path: path.mkdir(), "folder"),
    "empty": (lambda files, path: path.touch(), "is empty"),
    "text": (lambda files, path: path.write_text("hello " * 100, encoding="utf-8"), "not a model file"),
    "web page": (lambda files, path: path.write_text("<!DOCTYPE html><html>", encoding="utf-8"), "web page"),
    "git lfs pointer": (
        lambda files, path: path.write_text("version https://git-lfs.github.com/spec/v1", encoding="utf-8"),
        "Git LFS pointer",
    ),
    "truncated": (_truncated, "damaged or cut short"),
    "truncated safetensors": (_truncated_safetensors, "damaged or cut short"),
    "a list": (_plain_pickle, "damaged or cut short"),
    "no tensors": (lambda files, path: torch.save({"a": 1}, path), "neither a ReF-LDM"),
    "another model": (
        lambda files, path: save_file({"model.diffusion_model.double_blocks.0.weight": torch.ones(2)}, path),
        "input_blocks.0.0.weight is missing",
    ),
    "unrelated tensors": (lambda files, path: save_file({"weight": torch.ones(2)}, path), "neither a ReF-LDM"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused(case: str, tiny: TinyFiles, tmp_path: Path) -> None:
    write, message = BAD_FILES[case]
    path = tmp_path / "bad.ckpt"
    write(tiny, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path)
    assert caught.value.expected and caught.value.remedy


def _with(name: str, value: Tensor) -> Change:
    return lambda tensors: {**tensors, name: value}


def _without(*names: str) -> Change:
    return lambda tensors: {n: t for n, t in tensors.items() if n not in names}


def _with_nan(name: str) -> Change:
    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        tensor = tensors[name].clone()
        tensor.view(-1)[0] = float("nan")
        return {**tensors, name: tensor}

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
    "nan in use": (_with_nan("model_ema.diffusion_modelout2bias"), "out.2.bias in .* not finite"),
    "nan in first stage": (
        _with_nan("first_stage_model.decoder.conv_out.bias"),
        "decoder.conv_out.bias in .* not finite",
    ),
    "ema incomplete": (_without("model_ema.diffusion_modelout2bias"), "EMA copy .* lacks 1"),
    "other latent": (
        _with("first_stage_model.quantize.embedding.weight", torch.zeros(64, 4)),
        "first stage's tensors do not fit",
    ),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_bad_tensors_are_refused(case: str, tiny: TinyFiles, tensors: dict[str, Tensor], tmp_path: Path) -> None:
    change, message = BAD_TENSORS[case]
    path = tmp_path / "bad.safetensors"
    save_file(change(dict(tensors)), path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path, config=tiny.config)
    assert caught.value.expected and caught.value.remedy


@pytest.mark.parametrize("shape", [(64,), (64, 8, 1), (0, 8)])
def test_a_codebook_of_another_shape_is_refused(
    shape: tuple[int, ...], tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({**tensors, "first_stage_model.quantize.embedding.weight": torch.zeros(shape)}, path)
    with pytest.raises(CheckpointError, match=r"quantize\.embedding\.weight has the shape"):
        load_model(path)


@pytest.mark.parametrize("shape", [(32,), (0, 16, 3, 3)])
def test_a_first_weight_of_another_shape_is_refused(
    shape: tuple[int, ...], tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "bad.safetensors"
    save_file({**tensors, "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(shape)}, path)
    with pytest.raises(CheckpointError, match=r"input_blocks\.0\.0\.weight has the shape"):
        load_model(path)
