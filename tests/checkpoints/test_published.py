"""Files of the trainer equal files of the published layout in names, shapes and values."""

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
    written, published = torch.load(checkpoint), load_file(tiny.safetensors)
    assert written.keys() - published.keys() == {"scale_factor"} and published.keys() <= written.keys()
    for name, tensor in published.items():
        assert written[name].shape == tensor.shape and written[name].dtype == tensor.dtype, name
        assert torch.allclose(written[name], tensor, rtol=1e-6, atol=1e-12), name
    restorer = load_restorer(checkpoint, config)
    assert restorer.spec == raw.spec
    assert torch.equal(restorer.unet.out[-1].weight, ema.unet.out[-1].weight)  # type: ignore[arg-type]


def test_noise_tables_are_the_published_buffers(tiny: TinyFiles) -> None:
    published = load_file(GOLDEN / "buffers.safetensors")
    tables = noise_tables(load_restorer(tiny.ckpt, tiny.config).spec.noise)
    assert tables.keys() == published.keys()
    for name, tensor in published.items():
        assert torch.allclose(tables[name], tensor, rtol=1e-6, atol=1e-12), name


def test_the_config_has_the_values_of_the_published_config(tiny: TinyFiles) -> None:
    published = yaml.safe_load(tiny.config.read_text(encoding="utf-8"))["model"]["params"]
    written = published_config(load_restorer(tiny.ckpt, tiny.config).spec)["model"]["params"]
    assert (
        written["unet_config"]["params"].items()
        >= {key: value for key, value in published["unet_config"]["params"].items() if key != "legacy"}.items()
    )
    for key in ("linear_start", "linear_end", "timesteps", "image_size", "channels", "use_cache_kv"):
        assert written[key] == published[key], key
    first_stage, published_first_stage = (params["first_stage_config"]["params"] for params in (written, published))
    for key in ("ddconfig", "embed_dim", "n_embed"):
        assert first_stage[key] == published_first_stage[key], key
