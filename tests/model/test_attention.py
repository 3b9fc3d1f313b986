"""Attention where torch may have no fused kernel, and the mask that is made of a bias."""

from __future__ import annotations

import pytest
import torch

from refldm_core.model import attention
from refldm_core.model.attention import fused_attention, key_mask, plain_attention
from tests.parity import difference


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("logits_at_once", [1, 4 * 3 * 50 * 7, 2**26])
def test_slices_give_the_result_of_whole_attention(
    monkeypatch: pytest.MonkeyPatch, logits_at_once: int, with_bias: bool
) -> None:
    q, k, v = (torch.randn(4, 3, tokens, 16) for tokens in (23, 50, 50))
    bias = torch.randn(50) if with_bias else None
    monkeypatch.setattr(attention, "_may_be_unfused", lambda q: True)
    monkeypatch.setattr(attention, "LOGITS_AT_ONCE", logits_at_once)
    assert difference(fused_attention(q, k, v, bias), plain_attention(q, k, v, bias)) <= 1e-5


def test_the_rows_of_a_mask_are_contiguous_except_on_the_cpu() -> None:
    """cuDNN fails on a row stride of 0."""
    q, bias = torch.empty(2, 4, 6, 8, device="meta", dtype=torch.float16), torch.zeros(10, device="meta")
    mask = key_mask(bias, q)
    assert mask is not None
    assert (mask.shape, mask.dtype, mask.stride()[2:]) == ((1, 1, 6, 10), torch.float16, (10, 1))
    on_cpu = key_mask(torch.zeros(10), torch.empty(2, 4, 6, 8))
    assert on_cpu is not None and on_cpu.stride()[2] == 0, "the CPU's kernel needs no copy"
    assert key_mask(None, q) is None
