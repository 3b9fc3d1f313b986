"""Whole models: their tensors, the spec in their metadata, and the config that belongs to them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.checkpoints.building import inspect_file, inspect_model, load_model
from refldm_core.checkpoints.hints import METADATA_KEY
from refldm_core.checkpoints.saving import convert
from refldm_core.model.variants import ModelSpec
from refldm_core.pipeline import Restorer, SamplingSettings
from refldm_core.ranges import check_ranges

from ..cases import Action, Case, Reader, require
from ..mutation import mutate
from ..seed_files import MODEL, SPEC
from .whole_files import file_reader

_VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 2, 7, 16, 32, 64, 1000, 1025, 2**31, 2**63, 10**400, 0.5, -0.0, 1e-30, 1e30, 0.0015, 0.999),
    *(float("nan"), float("inf"), None, True, "", "16", "1e-4", "nan", "\uff11", "0x10", [], {}, [1, 2], "x" * 3000),
)


def require_sound(spec: ModelSpec) -> None:
    """Require that all numbers of a spec are within their ranges."""
    for part in (spec, spec.unet, spec.first_stage, spec.noise):
        check_ranges(part)


def restore_once(path: Path, config: Path | None = None) -> None:
    """Load a model, and restore a picture with one step."""
    model = load_model(path, config=config)
    require_sound(model.spec)
    for network in (model.unet, model.first_stage):
        require(all(t.isfinite().all() for t in network.state_dict().values() if t.is_floating_point()), "not finite")
    if model.spec.crop_size <= 64:
        picture = torch.linspace(-1, 1, 3 * model.spec.crop_size**2).view(1, 3, model.spec.crop_size, -1)
        restorer = Restorer(model.unet, model.first_stage, model.spec)
        restored = restorer.restore(picture, restorer.encode_references(picture), [0], SamplingSettings(steps=1))
        require(restored.shape == picture.shape and restored.isfinite().all(), "the restored picture is not finite")


def _prepare_tensors(case: Case) -> Action:
    """Change names, shapes, types and values of tensors, and the spec in the metadata."""
    random = case.random
    tensors = load_file(case.seeds / MODEL)
    with safe_open(case.seeds / MODEL, "pt") as opened:
        metadata = dict(opened.metadata())
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        _change(tensors, random)
    if random.random() < 0.5:
        metadata[METADATA_KEY] = _changed_spec(random)
    if random.random() < 0.2:
        tensors["betas"] = torch.linspace(*random.choice([(0.0015, 0.0155), (0, 1), (-1, 2), (0.5, 0.1)]), 100)
        metadata.pop(METADATA_KEY, None)
    if random.random() < 0.1:
        value = random.choice((1.0, 0.5, 0.0, float("nan"), 1e9))
        tensors["scale_factor"] = torch.full(random.choice([(), (1,), (2,), (0,)]), value)
    path = case.folder / "model.safetensors"
    save_file(tensors, path, metadata)

    def action() -> None:
        inspected = inspect_file(path)
        if not inspected.missing:
            require_sound(inspect_model(path).spec)
        restore_once(path)
        converted = path.with_name("converted.safetensors")
        spec = convert(path, converted).spec
        require(inspect_model(converted).spec == spec == inspect_model(path).spec, "converted, its spec is another one")

    return action


def _change(tensors: dict[str, Tensor], random: Random) -> None:
    name = random.choice(sorted(tensors))
    tensor = tensors[name]
    change = random.choice(("drop", "rename", "shape", "type", "value", "scale", "add", "empty"))
    if change in ("drop", "rename"):
        del tensors[name]
    if change == "rename":
        tensors[random.choice((name + "x", name.replace("0", "1"), "model_ema.x", "input_blocks." + "9" * 20))] = tensor
    if change == "shape":
        shape = list(tensor.shape) or [1]
        shape[random.randrange(len(shape))] = random.choice((0, 1, 2, 31, 33, 64))
        tensors[name] = torch.zeros(shape)
    if change == "type":
        tensors[name] = tensor.to(random.choice((torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)))
    if change == "value" and tensor.numel():
        changed = tensor.clone()
        changed.view(-1)[0] = random.choice((float("nan"), float("inf"), 3e38, -3e38, 1e-45))
        tensors[name] = changed
    if change == "scale":
        tensors[name] = tensor * random.choice((0.0, 1e20, 1e38, -1.0))
    if change == "add":
        tensors[
            random.choice(("model.diffusion_model.input_blocks.1.9", "first_stage_model.x", "x", "encoder.down.9"))
        ] = torch.ones(2)
    if change == "empty":
        tensors[name] = torch.zeros(random.choice([(0,), (0, 4), (0, 0, 3, 3), ()]))


def _changed_spec(random: Random) -> str:
    spec = json.loads(json.dumps(asdict(SPEC)))
    section = random.choice((spec, spec["unet"], spec["noise"], spec["first_stage"]))
    section[random.choice(sorted(section))] = random.choice(_VALUES)
    if random.random() < 0.2:
        section.pop(random.choice(sorted(section)))
    text = json.dumps(spec)
    return mutate(text.encode(), random).decode(errors="replace") if random.random() < 0.3 else text


def _prepare_config(case: Case) -> Action:
    """Change the config of the published layout that belongs to the model."""
    import yaml

    random = case.random
    unet: dict[str, Any] = {
        "image_size": 16, "in_channels": 8, "out_channels": 4, "model_channels": 32, "num_res_blocks": 1,
        "channel_mult": [1, 2], "num_head_channels": 16,
    }  # fmt: skip
    params: dict[str, Any] = {
        "timesteps": 1000, "linear_start": 0.0015, "linear_end": 0.0155, "image_size": 16, "scale_factor": 1.0,
        "unet_config": {"params": unet},
    }  # fmt: skip
    for _ in range(random.choice((0, 1, 1, 2))):
        section = random.choice((unet, params))
        section[random.choice(sorted(section))] = random.choice(_VALUES)
    path = case.folder / "config.yaml"
    text = yaml.safe_dump({"model": {"params": params}}, allow_unicode=True)
    content = text.encode(errors="surrogatepass")
    path.write_bytes(mutate(content, random) if random.random() < 0.4 else content)
    model = case.seeds / MODEL
    return lambda: restore_once(model, path)


def read_model(path: Path) -> None:
    """Inspect a model file as `refldm inspect` does, and load it."""
    inspect_file(path)
    restore_once(path)


READERS = [
    Reader("model", _prepare_tensors, 8),
    Reader("config", _prepare_config, 6),
    file_reader("model file", ".", MODEL, read_model, share=4),
]
