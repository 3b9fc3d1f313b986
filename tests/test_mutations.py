"""The parity checks catch mistakes that are easy to make with this model. Each mutation makes one of them on purpose.

A mutation changes its own restorer, or a module that the restorer uses. `MUTATIONS` names the check that must fail.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch.nn.functional as F
from torch import Tensor, nn

import refldm_core.model.unet as unet_module
from refldm_core import pipeline
from refldm_core.diffusion import schedule
from refldm_core.model import vqgan_blocks
from refldm_core.model.attention import AttentionBlock
from refldm_core.pipeline import Restorer

from .conftest import load_restorer
from .parity import CHECKS
from .weights import TinyFiles

Mutation = Callable[[Restorer, pytest.MonkeyPatch], None]


def _set_norm_eps(module: nn.Module, eps: float) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.GroupNorm):
            layer.eps = eps


def unet_norm_eps(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    _set_norm_eps(restorer.unet, 1e-6)


def first_stage_norm_eps(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    _set_norm_eps(restorer.first_stage, 1e-5)


def head_split_order(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    """Split into q, k, v before heads, which is the newer order of the same code base."""
    for layer in restorer.unet.modules():
        if isinstance(layer, AttentionBlock):
            for parameter in layer.qkv.parameters():
                rows = parameter.data.reshape(3, layer.heads, -1, *parameter.shape[1:])
                parameter.data = rows.transpose(0, 1).reshape(parameter.shape).contiguous()


def references_encoded_separately(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    joint = restorer.encode_references
    patch.setattr(restorer, "encode_references", lambda images: joint(images, "separate"))


def null_is_an_empty_cache(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(restorer._null_cache, "like", lambda references: None)


def last_alpha_is_one(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    def table(*args: object) -> schedule.SamplingTable:
        correct = schedule.sampling_table(*args)  # type: ignore[arg-type]
        alphas_prev = np.append(1.0 - 1e-12, correct.alphas_prev[1:])
        return schedule.SamplingTable(correct.timesteps, correct.alphas, alphas_prev)

    patch.setattr(pipeline, "sampling_table", table)


def zero_padding_before(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    class PaddingBefore:
        interpolate = staticmethod(F.interpolate)

        @staticmethod
        def pad(x: Tensor, pad: tuple[int, ...]) -> Tensor:
            return F.pad(x, (*pad[:4], pad[5], pad[4]))

    patch.setattr(unet_module, "F", PaddingBefore)


def padding_left_and_top(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(vqgan_blocks.Downsample, "forward", lambda self, x: self.conv(F.pad(x, (1, 0, 1, 0))))


def no_quantization(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    decode = restorer.first_stage.decode
    patch.setattr(restorer.first_stage, "decode", lambda latent: decode(latent, quantize=False))


def sines_first(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    def swapped(timesteps: Tensor, dim: int) -> Tensor:
        return correct(timesteps, dim).roll(dim // 2, dims=-1)

    correct = unet_module.timestep_embedding
    patch.setattr(unet_module, "timestep_embedding", swapped)


def reference_pass_at_another_timestep(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    correct = restorer.unet._features
    patch.setattr(restorer.unet, "_features", lambda x, t, *rest: correct(x, t + (t == 0), *rest))


def guidance_reversed(restorer: Restorer, patch: pytest.MonkeyPatch) -> None:
    correct = pipeline.guided
    patch.setattr(pipeline, "guided", lambda model, c, null, scale, *rest: correct(model, c, null, 1.0 - scale, *rest))


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    mutation.__name__: (mutation, check)
    for mutation, check in (
        (unet_norm_eps, "noise prediction"),
        (first_stage_norm_eps, "encode"),
        (head_split_order, "noise prediction"),
        (references_encoded_separately, "reference k and v"),
        (null_is_an_empty_cache, "ddim"),
        (last_alpha_is_one, "ddim"),
        (zero_padding_before, "reference k and v"),
        (padding_left_and_top, "encode"),
        (no_quantization, "ddim"),
        (sines_first, "noise prediction"),
        (reference_pass_at_another_timestep, "reference k and v"),
        (guidance_reversed, "ddim"),
    )
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_caught(
    name: str, tiny: TinyFiles, golden: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate, check = MUTATIONS[name]
    restorer = load_restorer(tiny.ckpt, tiny.config)
    CHECKS[check](restorer, golden)
    mutate(restorer, monkeypatch)
    with pytest.raises(AssertionError):
        CHECKS[check](restorer, golden)


@pytest.mark.parametrize("check", ["reference k and v", "noise prediction", "ddim"])
def test_ignoring_the_ema_copy_is_caught(check: str, tiny: TinyFiles, golden: dict[str, Tensor]) -> None:
    restorer = load_restorer(tiny.ckpt, tiny.config, weights="raw")
    with pytest.raises(AssertionError):
        CHECKS[check](restorer, golden)
