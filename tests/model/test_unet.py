"""The U-Net with references. No image's result depends on the rest of its batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from refldm_core.errors import ReferencesError, SettingsError
from refldm_core.model.attention import (
    WIDE_HEAD,
    Attend,
    Attention,
    AttentionBlock,
    KeyValue,
    attend_with_references,
    blocked_attention,
    fused_attention,
    plain_attention,
)
from refldm_core.model.layers import Layers
from refldm_core.model.precision import has_amx
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import UNet, UNetSpec
from refldm_core.pipeline import Restorer

from ..parity import difference, tolerance

ALONE = tolerance("unet.t499")


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn(4, 16, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def kv(restorer: Restorer, reference_images: Tensor) -> ReferenceKV:
    return restorer.encode_references(reference_images)


@torch.no_grad()
def test_mixed_numbers_of_references_in_one_batch(restorer: Restorer, kv: ReferenceKV, x: Tensor) -> None:
    sets = [kv, None, kv.select(1), kv.select(2)]  # three, none, and two different ones of one reference
    t = torch.tensor([999, 499, 19, 0])
    together = restorer.unet(x, t, sets)
    for i, references in enumerate(sets):
        alone = restorer.unet(x[i : i + 1], t[i : i + 1], references)
        assert difference(together[i : i + 1], alone) <= ALONE


@torch.no_grad()
def test_one_set_for_all_images(restorer: Restorer, kv: ReferenceKV, x: Tensor) -> None:
    t = torch.full((4,), 499)
    together = restorer.unet(x, t, kv)
    assert torch.equal(together, restorer.unet(x, t, [kv] * 4))
    assert difference(together[3:], restorer.unet(x[3:], t[3:], kv)) <= ALONE


@torch.no_grad()
def test_order_of_references_does_not_matter_to_the_result(restorer: Restorer, kv: ReferenceKV, x: Tensor) -> None:
    t = torch.tensor([499])
    assert difference(restorer.unet(x[:1], t, kv.select(2, 0, 1)), restorer.unet(x[:1], t, kv)) <= ALONE


def test_attention_weighs_own_and_reference_tokens_in_one_softmax() -> None:
    """Against eq. 4 and 5 written out for one head."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 1, 1, 5, 4, generator=generator)
    rk, rv = torch.randn(2, 1, 7, 4, generator=generator)
    attended = attend_with_references(fused_attention, q, k, v, [KeyValue(rk, rv)])
    keys, values = torch.cat([k[0, 0], rk[0]]), torch.cat([v[0, 0], rv[0]])
    expected = (q[0, 0] @ keys.T / 2.0).softmax(-1) @ values
    torch.testing.assert_close(attended[0, 0], expected)


@pytest.mark.parametrize("attention", [fused_attention, plain_attention])
def test_a_key_that_counts_n_times_is_n_equal_keys(attention: Attention) -> None:
    """Exactly, in float64; attention over one copy gives the rounding errors of another summation order."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 5, 8, generator=generator, dtype=torch.float64)
    rk, rv = torch.randn(2, 3, 7, 8, generator=generator, dtype=torch.float64)
    once = KeyValue(rk, rv, copies=4)
    written_out = once.written_out()
    assert (written_out.tokens, written_out.copies) == (28, 1)
    from_one_copy = attend_with_references(attention, q, k, v, [once, once])
    from_all_copies = attend_with_references(attention, q, k, v, [written_out, written_out])
    torch.testing.assert_close(from_one_copy, from_all_copies, rtol=1e-6, atol=1e-6)


def test_null_references_are_computed_once_and_count_each_time(restorer: Restorer, kv: ReferenceKV, x: Tensor) -> None:
    """The whole model, beside an image with other references and one without."""
    null = restorer.null_references(3, (16, 16))
    assert null.count == 3 and all(layer.copies == 3 for layer in null.layers.values())
    assert null.nbytes * 3 == null.written_out().nbytes == kv.nbytes
    t = torch.full((3,), 499)
    with torch.no_grad():
        from_one_copy = restorer.unet(x[:3], t, [null, kv, None])
        from_all_copies = restorer.unet(x[:3], t, [null.written_out(), kv, None])
        fewer = restorer.unet(x[:3], t, [restorer.null_references(1, (16, 16)), kv, None])
    assert difference(from_one_copy, from_all_copies) <= ALONE
    assert difference(fewer[:1], from_all_copies[:1]) > 100 * ALONE  # their number does count


def test_attention_gets_contiguous_tensors() -> None:
    seen: list[bool] = []

    def attend(layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.extend(t.is_contiguous() for t in (q, k, v))
        return fused_attention(q, k, v)

    block = AttentionBlock(Layers(torch.nn, None, None), "layer", 64, 16)
    assert block(torch.randn(2, 64, 4, 4), attend).shape == (2, 64, 4, 4)
    assert seen == [True] * 3


def test_host_operations_and_attention_are_used() -> None:
    class Operations(torch.nn.Module):
        Conv1d, Conv2d, GroupNorm, Linear = (
            type(name, (getattr(torch.nn, name),), {}) for name in ("Conv1d", "Conv2d", "GroupNorm", "Linear")
        )

    calls: list[int] = []

    def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        calls.append(k.shape[2])
        return fused_attention(q, k, v, bias)

    spec = UNetSpec(model_channels=32, num_res_blocks=1, num_head_channels=16)
    unet = UNet(spec, operations=Operations, attention=attention)
    layers = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.GroupNorm, torch.nn.Linear)
    assert not [m for m in unet.modules() if type(m) in layers]
    unet(torch.randn(1, 16, 16, 16), torch.tensor([3]))
    assert len(calls) == 10


def test_keys_and_values_keep_their_gradient() -> None:
    unet = UNet(UNetSpec(model_channels=32, num_res_blocks=1, num_head_channels=16))
    latent = torch.randn(1, 8, 16, 16, requires_grad=True)
    unet(torch.randn(1, 16, 16, 16), torch.tensor([3]), unet.encode_references(latent)).sum().backward()
    assert latent.grad is not None and latent.grad.abs().max() > 0


def test_a_wrong_number_of_sets_is_refused(restorer: Restorer, kv: ReferenceKV, x: Tensor) -> None:
    with pytest.raises(ReferencesError, match="2 reference sets were given for 4 images"):
        restorer.unet(x, torch.zeros(4), [kv, None])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model_channels": 48}, "multiple of 32"),
        ({"num_head_channels": 24}, "heads of 24"),
        ({"in_channels": 8}, "LQ latent"),
    ],
)
def test_specs_without_meaning_are_refused(changed: dict[str, int], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        UNetSpec(**changed)  # type: ignore[arg-type]


@torch.no_grad()
def test_equal_images_share_the_stem_and_give_the_same_result(
    restorer: Restorer, kv: ReferenceKV, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = x[[0, 1, 0, 0, 1]]
    t = torch.tensor([499, 499, 499, 20, 499])  # the third is the first, the last the second
    sets = [kv, kv.select(0), None, kv, kv.select(0, 1)]
    seen: list[int] = []
    stem = restorer.unet.input_blocks[0][0]  # pyright: ignore[reportIndexIssue]
    hook = stem.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    try:
        shared = restorer.unet(batch, t, sets)
        monkeypatch.setattr(restorer.unet, "share_equal_images", False)
        separate = restorer.unet(batch, t, sets)
    finally:
        hook.remove()
    assert seen == [3, 5]
    assert difference(shared, separate) <= ALONE
    assert difference(shared[2:3], shared[:1]) > 10 * ALONE  # one picture with other references


@torch.no_grad()
def test_reference_passes_end_at_the_last_attention(
    restorer: Restorer, reference_images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = restorer.encode(reference_images)
    short = restorer.unet.encode_references(latents)
    features = restorer.unet._features
    ran: list[int | None] = []

    def whole(x: Tensor, t: Tensor, attend: Attend, output_blocks: int | None = None) -> Tensor:
        ran.append(output_blocks)
        return features(x, t, attend)

    monkeypatch.setattr(restorer.unet, "_features", whole)
    long = restorer.unet.encode_references(latents)
    assert ran[0] is not None and ran[0] < len(restorer.unet.output_blocks)
    assert long.layers.keys() == short.layers.keys()
    for name, layer in long.layers.items():
        assert torch.equal(layer.k, short.layers[name].k) and torch.equal(layer.v, short.layers[name].v)


@pytest.mark.parametrize("queries", [256, 700], ids=["one block", "blocks of unequal length"])
def test_blocked_attention_is_attention(queries: int) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, WIDE_HEAD, generator=generator) for n in (queries, 900, 900))
    assert difference(blocked_attention(q, k, v), plain_attention(q, k, v)) <= 1e-5
    half = [t.bfloat16() for t in (q, k, v)]
    right = plain_attention(*(t.double() for t in half))
    error = blocked_attention(*half).double() - right
    assert error.square().mean().sqrt() <= 0.02 * right.square().mean().sqrt()  # a few roundings to 8 bits
    if not has_amx():
        with torch.no_grad():
            assert torch.equal(fused_attention(*half), blocked_attention(*half))  # which this type takes on the CPU
