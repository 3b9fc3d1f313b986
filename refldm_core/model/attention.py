"""Self-attention of the U-Net, and CacheKV: attention to reference tokens as well (paper section 3.2).

Convention: q, k and v are (batch, heads, tokens, head channels) and contiguous, since fused kernels are slow on strided
views.
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
    """Returns softmax(q k^T / sqrt(head channels) + bias) v.

    q, k, v and the result are (batch, heads, tokens, head channels). `bias` is (keys,), the same for every image, head
    and query: float64 for float64 queries, float32 otherwise. None stands for 0.
    """

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor: ...


class Attend(Protocol):
    """Attends for one attention layer, which passes its name and the q, k and v of its images."""

    def __call__(self, layer: str, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class KeyValue:
    """Keys and values of one attention layer for one set of references.

    Attributes:
        k: (heads, references * tokens, head channels), before the scale of 1/sqrt(head channels).
        v: The same shape.
        copies: Number of equal references that each stored key stands for; see `logit_bias`.
        weight: Strength of the references, above 0. A weight of 2 acts as if every reference came twice. The published
            weight is 1.
    """

    k: Tensor
    v: Tensor
    copies: int = 1
    weight: float = 1.0

    @property
    def tokens(self) -> int:
        """Number of stored keys."""
        return self.k.shape[1]

    def written_out(self) -> KeyValue:
        """Return equal keys and values with every copy stored."""
        if self.copies == 1:
            return self
        k, v = (t.repeat(1, self.copies, 1) for t in (self.k, self.v))
        return replace(self, k=k, v=v, copies=1)

    def logit_bias(self, dtype: torch.dtype) -> Tensor | None:
        """Return log(copies * weight), (), which is added to the logits of these keys; None where it is 0.

        In a softmax, n equal keys with equal values act as one key with log(n) added to its logit. So n
        null references cost as much as one (tests/model/test_unet.py, test_a_key_that_counts_n_times_is_n_equal_keys).
        """
        if self.copies == 1 and self.weight == 1.0:
            return None
        # By torch, not by math: torch.compile would compile once more for every number.
        copies = torch.full((), self.copies, dtype=dtype, device=self.k.device)
        weight = torch.full((), self.weight, dtype=dtype, device=self.k.device)
        return copies.log() + weight.log()


def attend_with_references(
    attention: Attention, q: Tensor, k: Tensor, v: Tensor, references: Sequence[KeyValue | None]
) -> Tensor:
    """Attend to the tokens of each image and to those of its references (paper eq. 4 and 5).

    Args:
        attention: The attention function.
        q, k, v: (batch, heads, tokens, head channels), of the images.
        references: One entry for each image. None attends to the image alone.

    Returns:
        (batch, heads, tokens, head channels). No image's result depends on another image of the batch.
    """
    outputs = [
        _attend_in_one_call(attention, q[run], k[run], v[run], references[run]) for run in _runs_of_one_kind(references)
    ]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _runs_of_one_kind(references: Sequence[KeyValue | None]) -> list[slice]:
    """Split a batch into runs of neighbors whose references have the same number of keys and the same bias."""
    kinds = [(0, 1, 1.0) if kv is None else (kv.tokens, kv.copies, kv.weight) for kv in references]
    starts = [i for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(kinds)], strict=True)]


def _attend_in_one_call(
    attention: Attention, q: Tensor, k: Tensor, v: Tensor, references: Sequence[KeyValue | None]
) -> Tensor:
    """Attend for one run. Either every image of a run has references, or none has."""
    caches = [kv for kv in references if kv is not None]
    if not caches:
        return attention(q, k, v)
    keys = _append(k, [kv.k for kv in caches])
    values = _append(v, [kv.v for kv in caches])
    reference_bias = caches[0].logit_bias(torch.promote_types(keys.dtype, torch.float32))
    if reference_bias is None:
        return attention(q, keys, values)
    bias = torch.zeros(keys.shape[2], dtype=reference_bias.dtype, device=keys.device)
    bias[k.shape[2] :] = reference_bias  # the image's own keys come first
    return attention(q, keys, values, bias)


def _append(image_tokens: Tensor, reference_tokens: Sequence[Tensor]) -> Tensor:
    """(batch, heads, tokens, c) and batch x (heads, reference tokens, c) -> (batch, heads, all tokens, c)."""
    first = reference_tokens[0]
    if all(tokens is first for tokens in reference_tokens):
        appended = first.unsqueeze(0).expand(len(image_tokens), -1, -1, -1)  # no copy for one person in many pictures
    else:
        appended = torch.stack(list(reference_tokens))
    return torch.cat([image_tokens, appended.to(image_tokens.dtype)], dim=2)


class AttentionBlock(nn.Module):
    """Residual self-attention over the pixels of a feature map.

    The qkv projection has the layout that the published code calls "legacy": the channels are split into heads first,
    and the channels of each head into q, k and v.

    Args:
        name: Name of the layer in the U-Net. Its keys and values are cached under this name.
        channels: Channels of the feature map.
        head_channels: Channels of one head.
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


LOGITS_AT_ONCE = 2**26
"""Logits of one call of torch's attention where a fused kernel may be missing: 256 MiB in float32."""

FUSED_HEAD = 256
"""Channels of the widest head that every fused CUDA kernel takes. The first stage has a wider one."""

BLOCK_QUERIES = 256
"""Rows of the (queries x keys) matrix that `blocked_attention` holds at once. They fit the processor's cache."""

WIDE_HEAD = 128
"""Fewest channels of a head for which `blocked_attention` is faster. Heads of the U-Net have fewer."""


def plain_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention in the published arithmetic, for comparison: the whole matrix in memory, and its softmax in float32."""
    scale = q.shape[-1] ** -0.25  # on both sides, which keeps half precision in range
    logits = ((q * scale) @ (k * scale).transpose(-1, -2)).float()
    weights = (logits if bias is None else logits + bias).softmax(-1)
    return weights.to(v.dtype) @ v


def fused_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention by torch's kernels, with at most `LOGITS_AT_ONCE` numbers of the (queries x keys) matrix in memory."""
    if bias is None and _blocks_are_faster(q):
        return blocked_attention(q, k, v)
    if not _may_be_unfused(q):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=key_mask(bias, q))
    rows = max(1, LOGITS_AT_ONCE // (q.shape[0] * q.shape[1] * k.shape[2]))
    slices = torch.split(q, rows, dim=2)  # no query depends on another one, so slices give the same result
    outputs = [F.scaled_dot_product_attention(part, k, v, attn_mask=key_mask(bias, part)) for part in slices]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def _may_be_unfused(q: Tensor) -> bool:
    """Whether torch may hold the whole (queries x keys) matrix in memory for this attention."""
    if q.device.type == "cpu":
        return False
    return q.device.type != "cuda" or torch.version.hip is not None or q.shape[3] > FUSED_HEAD


def key_mask(bias: Tensor | None, q: Tensor) -> Tensor | None:
    """Return the bias of the keys, (keys,), as the mask (1, 1, queries, keys) that torch adds to the logits.

    The CPU's kernel adds a float32 mask to logits of any type. GPU kernels take a mask of q's type only, and the cuDNN
    kernel takes contiguous rows only.
    """
    if bias is None:
        return None
    if q.device.type == "cpu":
        return bias.expand(1, 1, q.shape[2], -1)
    return bias.to(q.dtype).expand(1, 1, q.shape[2], -1).contiguous()


def _blocks_are_faster(q: Tensor) -> bool:
    return q.dtype == torch.bfloat16 and q.shape[3] >= WIDE_HEAD and inference_on_cpu(q) and not has_amx()


def blocked_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention by matrix products in q's type, for one block of queries at a time.

    In bfloat16 on the CPU this is faster than torch's fused kernel, which uses the CPU's bfloat16 instructions only
    where the CPU has AMX. The price is precision: logits and weights are rounded to bfloat16, as q, k and v are
    (tests/model/test_unet.py, test_blocked_attention_is_attention).

    Args:
        q, k, v: (batch, heads, tokens, head channels), without gradient.
    """
    out = torch.empty_like(q)
    scale = q.shape[-1] ** -0.5
    for queries, keys, values, result in zip(*(t.flatten(0, 1) for t in (q, k, v, out)), strict=True):
        for query_block, result_block in zip(queries.split(BLOCK_QUERIES), result.split(BLOCK_QUERIES), strict=True):
            weights = torch.addmm(query_block.new_zeros(()), query_block, keys.T, beta=0.0, alpha=scale)
            torch.softmax(weights, -1, out=weights)
            torch.mm(weights, values, out=result_block)
    return out
