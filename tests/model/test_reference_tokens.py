"""References with half of the tokens: what is left out, what it equals, and what it no longer allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from refldm_core.errors import ReferencesError
from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNetSpec
from refldm_core.pipeline import Restorer, SamplingSettings

from ..parity import difference
from .exact import exact_restorer, random_tensor

TWO_LEVELS = UNetSpec(model_channels=32, channel_mult=(1, 2, 2), num_res_blocks=1, attention_downsampling=(2, 4))
SIZE = (16, 8)


@pytest.fixture(scope="module")
def exact(restorer: Restorer) -> Restorer:
    return exact_restorer(restorer, TWO_LEVELS)


@pytest.fixture(scope="module")
@torch.no_grad()
def kv(exact: Restorer) -> ReferenceKV:
    return exact.unet.encode_references(random_tensor(3, 8, *SIZE, seed=0))


def _sampled(restorer: Restorer, *references: ReferenceKV | None, **settings: Any) -> Tensor:
    lq = random_tensor(1, 8, *SIZE, seed=2).float().repeat(len(references), 1, 1, 1)
    return restorer.sample(lq, references, [7] * len(references), SamplingSettings(steps=2, **settings))


def _mapped(kv: ReferenceKV, change: Callable[[Tensor], Tensor]) -> ReferenceKV:
    """Return the references with a change of the keys and values of one reference, (heads, rows, columns, channels)."""
    height, width = SIZE

    def of_layer(layer: KeyValue) -> KeyValue:
        level = {128: 2, 32: 4}[layer.tokens * 4 // kv.count]
        grid = (kv.count, height // level, width // level)
        k, v = (
            torch.cat([change(part).flatten(1, 2) for part in t.unflatten(1, grid).unbind(1)], 1)
            for t in (layer.k, layer.v)
        )
        return replace(layer, k=k, v=v)

    return replace(kv, layers={name: of_layer(layer) for name, layer in kv.layers.items()})


def test_a_checkerboard_of_the_finest_level_is_kept(exact: Restorer, kv: ReferenceKV) -> None:
    half = kv.with_half_the_tokens()
    shapes = exact.unet.reference_shapes(SIZE)
    finest = {name for name, (_, tokens, _) in shapes.items() if tokens == 32}
    assert 0 < len(finest) < len(shapes)
    for name, layer in half.layers.items():
        full = kv.layers[name]
        if name not in finest:
            assert layer is full
            continue
        assert layer.tokens == full.tokens // 2 and layer.copies == 2
        grid = full.k.unflatten(1, (3, 8, 4))
        expected = [
            grid[:, reference, row, column]
            for reference in range(3)
            for row in range(8)
            for column in range(4)
            if (row + column) % 2 == 0
        ]
        assert torch.equal(layer.k, torch.stack(expected, 1))
    assert half.nbytes < kv.nbytes and (half.count, half.strength) == (kv.count, kv.strength)


def test_nothing_changes_where_neighbors_are_equal(exact: Restorer, kv: ReferenceKV) -> None:
    """Each kept key then stands for itself and for an equal one."""

    def equal_pairs(grid: Tensor) -> Tensor:
        return grid[:, :, ::2].repeat_interleave(2, 2)

    smooth = _mapped(kv, equal_pairs)
    half = _sampled(exact, smooth, reference_tokens="half", guidance=3.0)
    assert difference(half, _sampled(exact, smooth, guidance=3.0)) <= 1e-5  # the sampler computes in float32
    assert difference(_sampled(exact, kv, reference_tokens="half"), _sampled(exact, kv)) > 1e-4


def test_all_tokens_are_the_default_and_the_same_references(exact: Restorer, kv: ReferenceKV) -> None:
    assert torch.equal(_sampled(exact, kv, reference_tokens="all"), _sampled(exact, kv))
    assert "reference_tokens" not in SamplingSettings().as_json()
    assert SamplingSettings(reference_tokens="half").as_json()["reference_tokens"] == "half"


def test_images_of_a_batch_do_not_depend_on_each_other(exact: Restorer, kv: ReferenceKV) -> None:
    sets = [kv, None, kv.select(0, 2), kv]
    together = _sampled(exact, *sets, reference_tokens="half", reference_strength=2.0)
    for i, references in enumerate(sets):
        alone = _sampled(exact, references, reference_tokens="half", reference_strength=2.0)
        assert difference(together[i : i + 1], alone) <= 1e-5


def test_halves_cannot_be_selected_or_joined(kv: ReferenceKV) -> None:
    half = kv.with_half_the_tokens()
    for work in (lambda: half.select(0), lambda: ReferenceKV.concat([half, half]), half.written_out):
        with pytest.raises(ReferencesError, match="half of the tokens"):
            work()
    assert half.repeat(2).count == 6 and half.with_strength(2.0) is not None


def test_an_odd_number_of_tokens_is_kept() -> None:
    layer = KeyValue(torch.randn(1, 2 * 9, 4), torch.randn(1, 2 * 9, 4))
    odd = ReferenceKV({"only": layer}, 2, (6, 6), "unsaved")
    assert odd.with_half_the_tokens().layers["only"] is layer
