"""Counted operations, checked by hand and against the plain attention; clocks; the machine's peak rate."""

from __future__ import annotations

import time

import pytest
import torch
import torch.nn.functional as F

from benchmarks.common.measuring import StepClock, count_flops, measure_seconds, peak_bytes, pictures
from benchmarks.speed.peak import peak_flops, rates
from refldm_core.model.attention import fused_attention, plain_attention
from refldm_core.progress import Step


@torch.no_grad()
def test_operations_by_hand() -> None:
    assert count_flops(lambda: torch.ones(3, 5) @ torch.ones(5, 7)) == 2 * 3 * 5 * 7
    x, weight = torch.ones(2, 4, 8, 8), torch.ones(6, 4, 3, 3)
    assert count_flops(lambda: F.conv2d(x, weight, padding=1)) == 2 * (2 * 6 * 8 * 8) * (4 * 3 * 3)
    # A transposed convolution multiplies each pixel of its input with the whole kernel.
    kernel = torch.ones(4, 6, 4, 4)
    assert count_flops(lambda: F.conv_transpose2d(x, kernel, stride=2, padding=1)) == 2 * (2 * 4 * 8 * 8) * (6 * 4 * 4)
    assert count_flops(lambda: F.silu(x)) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [32, 512])  # channels of a head in the U-Net and in the first stage
@torch.no_grad()
def test_fused_attention_counts_as_plain_attention(dtype: torch.dtype, channels: int) -> None:
    q, k = torch.randn(2, 3, 50, channels, dtype=dtype), torch.randn(2, 3, 90, channels, dtype=dtype)
    bias = torch.zeros(90)
    expected = 2 * 2 * (2 * 3) * 50 * 90 * channels
    assert count_flops(lambda: plain_attention(q, k, k)) == expected
    assert count_flops(lambda: fused_attention(q, k, k)) == expected
    assert count_flops(lambda: fused_attention(q, k, k, bias)) == expected


def test_step_clock_omits_the_first_step() -> None:
    clock, x = StepClock("cpu"), torch.zeros(1)
    time.sleep(0.2)
    for number in range(1, 4):
        clock(Step(number, 3, x, x))
        time.sleep(0.01)
    seconds = clock.seconds()
    assert len(seconds) == 2
    assert all(0.01 <= s < 0.2 for s in seconds)


def test_seconds_and_peak_memory_are_plausible() -> None:
    assert measure_seconds(lambda: time.sleep(0.02), "cpu") >= 0.02
    # Python and torch alone take more than 50 MB. A peak in kilobytes or pages would be far below that.
    assert 50e6 < peak_bytes("cpu") < 1e12


def test_pictures_are_in_range_and_references_differ() -> None:
    lq, references = pictures(64, 3)
    assert lq.shape == (1, 3, 64, 64)
    assert references.shape == (3, 3, 64, 64)
    assert -1 <= references.min() < references.max() <= 1
    assert not references[0].equal(references[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_peak_rates_are_plausible(dtype: torch.dtype) -> None:
    rate_of = rates(dtype, "cpu", tiny=True, repeats=1)
    assert any("channels_last" in name for name in rate_of)
    assert any("matrices" in name for name in rate_of)
    assert all(1e7 < rate < 1e15 for rate in rate_of.values())
    assert peak_flops(dtype, "cpu", tiny=True, repeats=1) > 0
