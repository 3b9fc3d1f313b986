"""The strength of references is a weight on their keys, and exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from refldm_core.checkpoints.references import StoredReferences, save_references
from refldm_core.errors import OutOfRangeError, ReferencesError
from refldm_core.model.attention import KeyValue, attend_with_references, fused_attention
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNetSpec
from refldm_core.pipeline import Restorer, SamplingSettings

from ..old_torch import needs_traced_mappings
from ..parity import difference, tolerance
from .exact import EXACT, exact_restorer, random_tensor

SMALL = UNetSpec(model_channels=32, channel_mult=(1, 2), num_res_blocks=1, attention_downsampling=(2,))
SIZE = (8, 8)


@pytest.fixture(scope="module")
def exact(restorer: Restorer) -> Restorer:
    return exact_restorer(restorer, SMALL)


@pytest.fixture(scope="module")
@torch.no_grad()
def kv(exact: Restorer) -> ReferenceKV:
    return exact.unet.encode_references(random_tensor(3, 8, *SIZE, seed=0))


@torch.no_grad()
def _noise(restorer: Restorer, *references: ReferenceKV | None) -> Tensor:
    x = random_tensor(1, 16, *SIZE, seed=1).repeat(len(references), 1, 1, 1)
    return restorer.unet(x, torch.full((len(references),), 499), references)


def _sampled(restorer: Restorer, references: ReferenceKV | None, **settings: Any) -> Tensor:
    lq = random_tensor(1, 8, *SIZE, seed=2).float()
    return restorer.sample(lq, references, [7], SamplingSettings(steps=2, **settings))


@pytest.mark.parametrize("strength", [0.25, 2.0, 3.7])
def test_a_weight_multiplies_what_each_key_counts(strength: float) -> None:
    q, k, v = (random_tensor(1, 2, tokens, 4, seed=tokens) for tokens in (5, 6, 7))
    k, v = k[:, :, :6], v[:, :, :6]
    reference = KeyValue(random_tensor(2, 9, 4, seed=3), random_tensor(2, 9, 4, seed=4), copies=3, weight=strength)
    attended = attend_with_references(fused_attention, q, k, v, [reference])
    logits = torch.cat([q @ k.mT, q @ reference.k.mT], dim=-1) / 2.0  # the root of 4 channels
    weights = logits.exp() * torch.tensor([1.0] * 6 + [3.0 * strength] * 9, dtype=torch.float64)
    expected = weights / weights.sum(-1, keepdim=True) @ torch.cat([v, reference.v.expand(1, -1, -1, -1)], dim=2)
    assert difference(attended, expected) <= EXACT


def test_strength_1_changes_nothing(exact: Restorer, kv: ReferenceKV) -> None:
    assert kv.with_strength(1.0) is kv and kv.strength == 1.0
    assert torch.equal(_sampled(exact, kv, reference_strength=1.0), _sampled(exact, kv))


@pytest.mark.parametrize("guidance", [1.0, 1.5])
def test_strength_0_is_no_references(exact: Restorer, kv: ReferenceKV, guidance: float) -> None:
    assert kv.with_strength(0.0) is None
    without = _sampled(exact, None, guidance=guidance)
    assert torch.equal(_sampled(exact, kv, reference_strength=0.0, guidance=guidance), without)
    assert difference(_sampled(exact, kv, guidance=guidance), without) > 1e-3


def test_strength_2_is_every_key_given_twice(exact: Restorer, kv: ReferenceKV) -> None:
    twice = ReferenceKV.concat([kv, kv])
    assert difference(_noise(exact, kv.with_strength(2.0)), _noise(exact, twice)) <= EXACT
    assert difference(_noise(exact, kv.with_strength(2.0)), _noise(exact, kv)) > 1e-4
    assert difference(_noise(exact, twice.with_strength(0.5)), _noise(exact, kv)) <= EXACT


def test_null_references_get_the_same_strength(exact: Restorer, kv: ReferenceKV) -> None:
    """Strength 2 equals every reference given twice, also in the null branch. Strength 0 is reached smoothly."""
    stronger = _sampled(exact, kv, reference_strength=2.0, guidance=3.0)
    assert difference(stronger, _sampled(exact, ReferenceKV.concat([kv, kv]), guidance=3.0)) <= tolerance("ddim.x")
    assert difference(stronger, _sampled(exact, kv, guidance=3.0)) > 10.0 * tolerance("ddim.x")
    almost_none = _sampled(exact, kv, reference_strength=1e-6, guidance=3.0)
    assert difference(almost_none, _sampled(exact, None)) <= tolerance("ddim.x")


def test_images_of_a_batch_may_have_different_strengths(exact: Restorer, kv: ReferenceKV) -> None:
    sets = [kv.with_strength(2.0), kv, None, kv.with_strength(0.5), kv.select(0, 2).repeat(3).with_strength(1.5)]
    together = _noise(exact, *sets)
    for i, references in enumerate(sets):
        assert difference(together[i : i + 1], _noise(exact, references)) <= EXACT


def test_a_strength_stays_with_its_references(kv: ReferenceKV, tmp_path: Path) -> None:
    stronger = kv.with_strength(3.0)
    assert stronger is not None and stronger.nbytes == kv.nbytes
    weaker = stronger.with_strength(0.5)
    assert weaker is not None and weaker.strength == 1.5
    for references in (stronger.repeat(2).written_out(), stronger.select(2), stronger.to(dtype=torch.float32)):
        assert references.strength == 3.0
    assert ReferenceKV.concat([stronger, stronger]).strength == 3.0
    with pytest.raises(ReferencesError, match="strengths 3 and 1 cannot be joined"):
        ReferenceKV.concat([stronger, kv])
    with pytest.raises(ReferencesError, match="strength 3 cannot be saved"):
        save_references(StoredReferences(stronger), tmp_path / "me.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("strength", [-0.1, 100.5, float("nan"), float("inf")])
def test_strengths_without_meaning(kv: ReferenceKV, strength: float) -> None:
    with pytest.raises(ReferencesError, match="cannot have the strength"):
        kv.with_strength(strength)
    with pytest.raises(OutOfRangeError, match="reference_strength"):
        SamplingSettings(reference_strength=strength)
    with pytest.raises(OutOfRangeError, match="strength"):
        SamplingSettings(strength=strength)


@torch.no_grad()
@needs_traced_mappings
def test_it_compiles_as_one_graph(exact: Restorer, kv: ReferenceKV) -> None:
    torch.compiler.reset()
    unet = exact.unet
    compiled = torch.compile(unet.forward, backend="eager", fullgraph=True)  # raises where it would break
    x, t, sets = (
        random_tensor(2, 16, *SIZE, seed=1),
        torch.full((2,), 499),
        [kv.with_strength(2.0), kv.with_strength(0.5)],
    )
    assert difference(compiled(x, t, sets), unet(x, t, sets)) <= EXACT
    torch.compiler.reset()
