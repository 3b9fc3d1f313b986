"""What the trainer writes, against files of the published layout."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

from refldm_core.checkpoints.building import load_model
from refldm_core.checkpoints.published import noise_tables, published_config, save_refldm

from ..conftest import load_restorer
from ..weights import GOLDEN, TinyFiles


def test_names_and_shapes_are_the_published_ones(tiny: TinyFiles, tmp_path: Path) -> None:
    raw, ema = (load_model(tiny.ckpt, config=tiny.config, weights=which) for which in ("raw", "ema"))
    parts = (raw.unet.state_dict(), ema.unet.state_dict(), raw.first_stage.state_dict())
    checkpoint, config = save_refldm(tmp_path, raw.spec, *parts, updates=12345)
    ours, theirs = torch.load(checkpoint), load_file(tiny.safetensors)
    assert ours.keys() - theirs.keys() == {"scale_factor"} and theirs.keys() <= ours.keys()
    for name, tensor in theirs.items():
        assert ours[name].shape == tensor.shape and ours[name].dtype == tensor.dtype, name
        assert torch.allclose(ours[name], tensor, rtol=1e-6, atol=1e-12), name
    again = load_restorer(checkpoint, config)
    assert again.spec == raw.spec
    assert torch.equal(again.unet.out[-1].weight, ema.unet.out[-1].weight)  # type: ignore[arg-type]


def test_noise_tables_are_the_published_buffers(tiny: TinyFiles) -> None:
    buffers = load_file(GOLDEN / "buffers.safetensors")
    ours = noise_tables(load_restorer(tiny.ckpt, tiny.config).spec.noise)
    assert ours.keys() == buffers.keys()
    for name, tensor in buffers.items():
        assert torch.allclose(ours[name], tensor, rtol=1e-6, atol=1e-12), name


def test_the_config_says_what_the_published_one_says(tiny: TinyFiles) -> None:
    theirs = yaml.safe_load(tiny.config.read_text(encoding="utf-8"))["model"]["params"]
    ours = published_config(load_restorer(tiny.ckpt, tiny.config).spec)["model"]["params"]
    assert (
        ours["unet_config"]["params"].items()
        >= {key: value for key, value in theirs["unet_config"]["params"].items() if key != "legacy"}.items()
    )
    for key in ("linear_start", "linear_end", "timesteps", "image_size", "channels", "use_cache_kv"):
        assert ours[key] == theirs[key], key
    first, other = (params["first_stage_config"]["params"] for params in (ours, theirs))
    assert first["ddconfig"] == other["ddconfig"]
    assert (first["embed_dim"], first["n_embed"]) == (other["embed_dim"], other["n_embed"])
