"""The released spec is detected from the official files' names and shapes (tests/golden/manifest_full.json)."""

from __future__ import annotations

import json

import pytest
import torch

from refldm_core.checkpoints.detection import detect_first_stage, detect_unet
from refldm_core.checkpoints.layout import sort_tensors
from refldm_core.model.unet import UNet
from refldm_core.model.variants import RELEASED, ModelSpec
from refldm_core.model.vqgan import FirstStage

from ..weights import GOLDEN

Shapes = dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, list[int]]]:
    return json.loads((GOLDEN / "manifest_full.json").read_text(encoding="utf-8"))


def _shapes(part: object) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in part.items()}  # type: ignore[attr-defined]


def test_refldm_ckpt_has_the_released_spec(manifest: dict[str, dict[str, list[int]]]) -> None:
    names = manifest["refldm.ckpt"]
    assert len(names) == 1493
    parts = sort_tensors({name: torch.empty(shape, device="meta") for name, shape in names.items()})
    assert not parts.unknown
    assert parts.ignored == {"cond_stage_model.": 498}
    assert len(parts.unet) == len(parts.unet_ema) == 366
    unet = detect_unet(_shapes(parts.unet), RELEASED.unet.num_head_channels)
    first_stage = detect_first_stage(_shapes(parts.first_stage))
    assert unet.spec == RELEASED.unet and first_stage.spec == RELEASED.first_stage
    assert ModelSpec(unet.spec, first_stage.spec) == RELEASED
    assert set(unet.reasons) | {"num_head_channels"} == set(vars(unet.spec))
    assert set(first_stage.reasons) == set(vars(first_stage.spec))


def test_vqgan_ckpt_has_the_released_first_stage(manifest: dict[str, dict[str, list[int]]]) -> None:
    parts = sort_tensors({name: torch.empty(shape, device="meta") for name, shape in manifest["vqgan.ckpt"].items()})
    assert not parts.unknown and not parts.unet
    assert detect_first_stage(_shapes(parts.first_stage)).spec == RELEASED.first_stage


def test_the_released_spec_has_the_published_sizes() -> None:
    with torch.device("meta"):
        unet, first_stage = UNet(RELEASED.unet), FirstStage(RELEASED.first_stage)
    assert sum(p.numel() for p in unet.parameters()) == 117_759_368
    assert sum(p.numel() for p in first_stage.parameters()) == 57_183_515
    assert RELEASED.crop_size == 512
