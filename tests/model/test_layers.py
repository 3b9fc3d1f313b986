"""The speed tricks of `plain_layers` give the same numbers as the layers that they replace."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from refldm_core.model import layers
from refldm_core.model.layers import GroupNorm, norm_silu_conv, upsample_conv

# A few roundings of values of up to 10.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.08}
TYPES = pytest.mark.parametrize("dtype", TOLERANCE)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make_norm(channels: int, dtype: torch.dtype) -> GroupNorm:
    norm = GroupNorm(32, channels).to(dtype)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def in_channels_last(x: Tensor) -> Tensor:
    return x.to(memory_format=torch.channels_last)


def in_float64(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    return F.group_norm(x.double(), norm.num_groups, norm.weight.double(), norm.bias.double(), norm.eps)


@TYPES
@torch.no_grad()
def test_norm_is_exact_where_the_mean_is_large(dtype: torch.dtype) -> None:
    norm = make_norm(64, dtype)
    x = in_channels_last((torch.randn(2, 64, 75, 130) * 0.3 + 4.0).to(dtype))  # parts of unequal height
    right = in_float64(norm, x)
    normalized = norm(x)
    assert normalized.dtype == dtype and normalized.is_contiguous(memory_format=torch.channels_last)
    assert (normalized.double() - right).abs().max() <= TOLERANCE[dtype]
    if dtype == torch.float32:  # the reason for our own norm
        assert (nn.GroupNorm.forward(norm, x).double() - right).abs().max() > 10 * TOLERANCE[dtype]


@torch.no_grad()
def test_torch_normalizes_other_layouts() -> None:
    norm, x = make_norm(64, torch.float32), torch.randn(2, 64, 9, 8)
    assert torch.equal(norm(x), nn.GroupNorm.forward(norm, x))
    assert torch.equal(norm(x.flatten(2)), nn.GroupNorm.forward(norm, x.flatten(2)))


@TYPES
@pytest.mark.parametrize("strip_bytes", [1, 70_000, 1 << 30], ids=["single rows", "unequal strips", "one strip"])
@torch.no_grad()
def test_strips_give_the_result_of_the_whole_image(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, strip_bytes: int
) -> None:
    monkeypatch.setattr(layers, "_STRIP_BYTES", strip_bytes)
    norm, conv = make_norm(64, dtype), nn.Conv2d(64, 40, 3, padding=1).to(dtype)
    x = in_channels_last(torch.randn(2, 64, 37, 29).to(dtype))
    before = x.clone()
    right = F.conv2d(F.silu(in_float64(norm, x)), conv.weight.double(), conv.bias.double(), padding=1)  # pyright: ignore
    assert (norm_silu_conv(norm, conv, x).double() - right).abs().max() <= TOLERANCE[dtype]
    assert torch.equal(x, before)
    square = nn.Conv2d(64, 64, 3, padding=1).to(dtype)
    expected = norm_silu_conv(norm, square, x)
    assert norm_silu_conv(norm, square, x, overwrite=True).data_ptr() == x.data_ptr()
    assert torch.equal(x, expected)


def test_gradients_reach_the_layers() -> None:
    norm, conv = make_norm(64, torch.float32), nn.Conv2d(64, 8, 3, padding=1)
    x = in_channels_last(torch.randn(1, 64, 6, 5)).requires_grad_()
    norm_silu_conv(norm, conv, x).sum().backward()
    upsample_conv(nn.Conv2d(64, 8, 3, padding=1), x).sum().backward()
    assert x.grad is not None and norm.weight.grad is not None and x.grad.abs().sum() > 0


@TYPES
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_upsampling_and_convolution_equal_one_transposed_convolution(
    dtype: torch.dtype, layout: torch.memory_format
) -> None:
    conv = nn.Conv2d(48, 40, 3, padding=1).to(dtype)
    x = torch.randn(2, 48, 7, 9).to(dtype, memory_format=layout)
    enlarged = F.interpolate(x, scale_factor=2.0, mode="nearest")
    right = F.conv2d(enlarged.double(), conv.weight.double(), conv.bias.double(), padding=1)  # pyright: ignore
    with FlopCounterMode(display=False) as transposed_flops:
        result = upsample_conv(conv, x)
    with FlopCounterMode(display=False) as plain_flops:
        conv(enlarged)
    assert result.dtype == dtype
    assert (result.double() - right).abs().max() <= TOLERANCE[dtype]
    convolution = torch.ops.aten.convolution  # without the sum of the kernel's weights
    assert transposed_flops.get_flop_counts()["Global"][convolution] * 9 == plain_flops.get_total_flops() * 4


@torch.no_grad()
def test_layers_of_a_host_run_their_own_forward() -> None:
    """A host's layers move and cast their weights in `forward`, so the speed tricks must not bypass it."""

    class HostConv(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) + 1.0

    conv, x = HostConv(64, 64, 3, padding=1), in_channels_last(torch.randn(1, 64, 6, 6))
    norm = make_norm(64, torch.float32)
    assert torch.equal(norm_silu_conv(norm, conv, x), conv(F.silu(norm(x))))
    assert torch.equal(upsample_conv(conv, x), conv(F.interpolate(x, scale_factor=2.0)))
