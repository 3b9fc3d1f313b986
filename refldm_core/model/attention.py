"""Self-attention of the U-Net, and CacheKV: attending to reference tokens as well (paper section 3.2).

Convention: q, k and v are (batch, heads, tokens, head channels) and contiguous; fused kernels fall back to plain
mathematics on strided views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Layers, inference_on_cpu
from .precision import has_amx


class Attention(Protocol):
    """softmax(q k^T / sqrt(head channels) + bias) v; q, k, v and the result are (batch, heads, tokens, head channels).

    `bias` is (keys,) float32, the same for every image, head and query, or None, which is 0.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor: ...


class Attend(Protocol):
    """What an attention layer calls with its name and its own q, k, v."""

    def __call__(self, layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...


def fused_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Torch's own kernels; the (queries x keys) matrix is never held in memory where a fused kernel exists."""
    if bias is None:
        if q.dtype == torch.bfloat16 and inference_on_cpu(q) and q.shape[3] >= WIDE_HEAD and not has_amx():
            return blocked_attention(q, k, v)
        return F.scaled_dot_product_attention(q, k, v)
    # The CPU's kernel adds a float32 bias to logits in any type; the GPU's want q's.
    mask = bias if q.device.type == "cpu" else bias.to(q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask.expand(1, 1, q.shape[2], -1))


BLOCK_QUERIES = 256
"""Rows of the (queries x keys) matrix that `blocked_attention` holds at a time: they stay in the processor's cache."""
WIDE_HEAD = 128
"""Channels of a head from which `blocked_attention` is worth its many small operations: the first stage's, not the
U-Net's."""


def blocked_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Matrix products in q's type with few rows in memory: in bfloat16 on the CPU, faster than torch's fused kernel.

    That kernel does not use the CPU's bfloat16 instructions unless it has AMX, and sums weights in float32; here logits
    and weights are rounded to bfloat16, as queries, keys and values are anyhow.

    Args:
        q, k, v: (batch, heads, tokens, head channels), without gradient.
    """
    out = torch.empty_like(q)
    scale = q.shape[-1] ** -0.5
    for queries, keys, values, result in zip(*(t.flatten(0, 1) for t in (q, k, v, out)), strict=True):
        for rows, into in zip(queries.split(BLOCK_QUERIES), result.split(BLOCK_QUERIES), strict=True):
            weights = torch.addmm(rows.new_zeros(()), rows, keys.T, beta=0.0, alpha=scale)
            torch.softmax(weights, -1, out=weights)
            torch.mm(weights, values, out=into)
    return out


def plain_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """The published arithmetic, with the whole matrix in memory and its softmax in float32: for comparison."""
    scale = q.shape[-1] ** -0.25  # on both sides, which keeps half precision in range
    logits = ((q * scale) @ (k * scale).transpose(-1, -2)).float()
    weights = (logits if bias is None else logits + bias).softmax(-1)
    return weights.to(v.dtype) @ v


@dataclass(frozen=True)
class KeyValue:
    """Keys and values of one attention layer for one set of references.

    Attributes:
        k: (heads, references * tokens, head channels), before the 1/sqrt(head channels) scale.
        v: same shape.
        copies: how often each key counts. n equal keys with equal values are, in the softmax, one key with log(n)
            added to its logit: exact, and n times cheaper.
    """

    k: Tensor
    v: Tensor
    copies: int = 1

    @property
    def tokens(self) -> int:
        """Keys that are stored, whatever they count."""
        return self.k.shape[1]

    def written_out(self) -> KeyValue:
        """The same with every copy stored."""
        if self.copies == 1:
            return self
        return KeyValue(self.k.repeat(1, self.copies, 1), self.v.repeat(1, self.copies, 1))


def attend_with_references(
    attention: Attention, q: Tensor, k: Tensor, v: Tensor, references: Sequence[KeyValue | None]
) -> Tensor:
    """Attend to the image's own tokens and to those of its references (paper eq. 4 and 5).

    Args:
        attention: the attention function.
        q, k, v: (batch, heads, tokens, head channels) of the images themselves.
        references: one entry for each image; None attends to the image alone.

    Returns:
        (batch, heads, tokens, head channels). Each image's result does not depend on the others in the batch.
    """
    if all(reference is None for reference in references):
        return attention(q, k, v)
    outputs = [
        _attend_run(attention, q[start:stop], k[start:stop], v[start:stop], references[start:stop])
        for start, stop in _runs_of_equal_length(references)
    ]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _runs_of_equal_length(references: Sequence[KeyValue | None]) -> list[tuple[int, int]]:
    """Split a batch into runs of neighbours with the same keys' number and weight, since only those can be one call."""
    kinds = [(0, 1) if reference is None else (reference.tokens, reference.copies) for reference in references]
    starts = [i for i in range(len(kinds)) if i == 0 or kinds[i] != kinds[i - 1]]
    return list(zip(starts, [*starts[1:], len(kinds)], strict=True))


def _attend_run(attention: Attention, q: Tensor, k: Tensor, v: Tensor, references: Sequence[KeyValue | None]) -> Tensor:
    given = [reference for reference in references if reference is not None]
    if not given:
        return attention(q, k, v)
    keys, values = _append(k, [kv.k for kv in given]), _append(v, [kv.v for kv in given])
    return attention(q, keys, values, _bias(k.shape[2], given[0], keys.device))


def _bias(own: int, reference: KeyValue, device: torch.device) -> Tensor | None:
    """What the reference's copies add to the logits of the image's own keys and of its keys; None is nothing."""
    if reference.copies == 1:
        return None
    bias = torch.zeros(own + reference.tokens, device=device)
    # By torch, not math: a compiler would make a graph of its own for each number.
    bias[own:] = torch.full((), reference.copies, dtype=torch.float32, device=device).log()
    return bias


def _append(own: Tensor, references: Sequence[Tensor]) -> Tensor:
    """(batch, heads, tokens, c) and batch x (heads, reference tokens, c) -> (batch, heads, all tokens, c)."""
    first = references[0]
    if all(reference is first for reference in references):
        appended = first.unsqueeze(0).expand(own.shape[0], -1, -1, -1)  # no copy for one person in many pictures
    else:
        appended = torch.stack(list(references))
    return torch.cat([own, appended.to(own.dtype)], dim=2)


class AttentionBlock(nn.Module):
    """Residual self-attention over the pixels of a feature map.

    The layout of the qkv projection is the "legacy" one: channels are split into heads first, then each head's into
    q, k and v.

    Args:
        name: the layer's name in the U-Net, under which its keys and values are cached.
        channels: of the feature map.
        head_channels: of one head.
    """

    def __init__(self, make: Layers, name: str, channels: int, head_channels: int) -> None:
        super().__init__()
        self.name = name
        self.heads = channels // head_channels
        self.norm = make.norm(channels, eps=1e-5)
        self.qkv = make.conv1d(channels, 3 * channels)
        self.proj_out = make.conv1d(channels, channels)

    def forward(self, x: Tensor, attend: Attend) -> Tensor:
        b, c, h, w = x.shape
        tokens = x.reshape(b, c, h * w)
        qkv = self.qkv(self.norm(tokens)).reshape(b, self.heads, 3, c // self.heads, h * w)
        q, k, v = (part.transpose(-1, -2).contiguous() for part in qkv.unbind(2))
        out = attend(self.name, q, k, v).transpose(-1, -2).reshape(b, c, h * w)
        return (tokens + self.proj_out(out)).reshape(b, c, h, w)
