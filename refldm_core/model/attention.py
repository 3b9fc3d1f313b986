"""Self-attention of the U-Net, and CacheKV: attending to reference tokens as well (paper section 3.2).

Convention: q, k and v are (batch, heads, tokens, head channels) and contiguous; fused kernels fall back to plain
mathematics on strided views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Layers, inference_on_cpu
from .precision import has_amx


class Attention(Protocol):
    """softmax(q k^T / sqrt(head channels) + bias) v; q, k, v and the result are (batch, heads, tokens, head channels).

    `bias` is (keys,), float64 for float64 queries and else float32, the same for every image, head and query; or None,
    which is 0.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor: ...


class Attend(Protocol):
    """What an attention layer calls with its name and its own q, k, v."""

    def __call__(self, layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...


def fused_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Torch's own kernels. No (queries x keys) matrix of more than `LOGITS_AT_ONCE` numbers is held in memory."""
    if bias is None and _blocks_are_quicker(q):
        return blocked_attention(q, k, v)
    if not _may_be_unfused(q):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=key_mask(bias, q))
    rows = max(1, LOGITS_AT_ONCE // (q.shape[0] * q.shape[1] * k.shape[2]))
    slices = torch.split(q, rows, dim=2)  # each query's result does not depend on the others, so slices change nothing
    outputs = [F.scaled_dot_product_attention(part, k, v, attn_mask=key_mask(bias, part)) for part in slices]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


LOGITS_AT_ONCE = 2**26
"""Logits of one call of torch's attention where it may have no fused kernel: 256 MiB in float32."""
FUSED_HEAD = 256
"""Channels of the widest head that every fused kernel for CUDA takes; the first stage's are wider."""


def _may_be_unfused(q: Tensor) -> bool:
    """Whether torch may compute this attention with the whole matrix in memory."""
    if q.device.type == "cpu":
        return False
    return q.device.type != "cuda" or torch.version.hip is not None or q.shape[3] > FUSED_HEAD


def key_mask(bias: Tensor | None, q: Tensor) -> Tensor | None:
    """A bias of each key, (keys,), as the mask (1, 1, queries, keys) that torch's attention adds to the logits.

    The CPU's kernel adds a float32 mask to logits of any type. A GPU's kernels want a mask of q's type, and cuDNN's
    wants rows that lie one after the other in memory.
    """
    if bias is None:
        return None
    if q.device.type == "cpu":
        return bias.expand(1, 1, q.shape[2], -1)
    return bias.to(q.dtype).expand(1, 1, q.shape[2], -1).contiguous()


BLOCK_QUERIES = 256
"""Rows of the (queries x keys) matrix that `blocked_attention` holds at a time: they stay in the processor's cache."""
WIDE_HEAD = 128
"""Channels of a head from which `blocked_attention` is worth its many small operations: the first stage's, not the
U-Net's."""


def _blocks_are_quicker(q: Tensor) -> bool:
    return q.dtype == torch.bfloat16 and q.shape[3] >= WIDE_HEAD and inference_on_cpu(q) and not has_amx()


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
        weight: what each of these counts in turn, above 0: log(weight) is added to its logit, so that 2 is every key
            given twice. 1 is published.
    """

    k: Tensor
    v: Tensor
    copies: int = 1
    weight: float = 1.0

    @property
    def tokens(self) -> int:
        """Keys that are stored, whatever they count."""
        return self.k.shape[1]

    def written_out(self) -> KeyValue:
        """The same with every copy stored."""
        if self.copies == 1:
            return self
        k, v = (t.repeat(1, self.copies, 1) for t in (self.k, self.v))
        return replace(self, k=k, v=v, copies=1)


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
    """Split a batch into runs of neighbors with the same keys' number and weight, since only those can be one call."""
    kinds = [(0, 1, 1.0) if kv is None else (kv.tokens, kv.copies, kv.weight) for kv in references]
    starts = [i for i in range(len(kinds)) if i == 0 or kinds[i] != kinds[i - 1]]
    return list(zip(starts, [*starts[1:], len(kinds)], strict=True))


def _attend_run(attention: Attention, q: Tensor, k: Tensor, v: Tensor, references: Sequence[KeyValue | None]) -> Tensor:
    caches = [reference for reference in references if reference is not None]  # a run has all or none
    if not caches:
        return attention(q, k, v)
    keys, values = _append(k, [kv.k for kv in caches]), _append(v, [kv.v for kv in caches])
    return attention(q, keys, values, _bias(k.shape[2], caches[0], keys))


def _bias(own: int, reference: KeyValue, keys: Tensor) -> Tensor | None:
    """What is added to the logits of the image's own keys (0) and of the reference's; None where that is 0 too."""
    if reference.copies == 1 and reference.weight == 1.0:
        return None
    dtype = torch.promote_types(keys.dtype, torch.float32)
    bias = torch.zeros(own + reference.tokens, dtype=dtype, device=keys.device)
    # By torch, not math: a compiler would make a graph of its own for each number.
    bias[own:] = torch.full((), reference.copies, dtype=dtype, device=keys.device).log()
    if reference.weight != 1.0:
        bias[own:] += torch.full((), reference.weight, dtype=dtype, device=keys.device).log()
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
