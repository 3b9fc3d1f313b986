"""References with fewer tokens at the finest attention level, where nearly all of their cost arises.

These are the ways that were tried. `ReferenceKV.with_half_the_tokens` changes the pictures least. A kept
key stands for the keys that it replaces: the logarithm of their number is added to its logit, as for equal references
(`KeyValue.copies`). Where the replaced keys and values are equal, the attention does not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from torch import Tensor

from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV

Variant = Callable[[ReferenceKV], ReferenceKV]
Grid = tuple[int, int, int]
"""(references, height, width) of the tokens of a layer."""

ALL = "all"


def _changed(change: Callable[[Tensor, Grid], Tensor], tokens_of_a_key: int) -> Variant:
    """Return the variant that applies a change to the keys and values of the layers with the most tokens.

    Args:
        change: (heads, references * height * width, channels) and their grid -> fewer tokens.
        tokens_of_a_key: number of tokens that each key then stands for.
    """

    def variant(references: ReferenceKV) -> ReferenceKV:
        finest = max(kv.tokens for kv in references.layers.values())

        def fewer(kv: KeyValue) -> KeyValue:
            grid = _grid(references, kv)
            k, v = (change(tensor, grid).contiguous() for tensor in (kv.k, kv.v))
            return replace(kv, k=k, v=v, copies=kv.copies * tokens_of_a_key)

        layers = {name: fewer(kv) if kv.tokens == finest else kv for name, kv in references.layers.items()}
        return replace(references, layers=layers)

    return variant


def _grid(references: ReferenceKV, kv: KeyValue) -> Grid:
    height, width = references.latent_size
    downsampling = math.isqrt(height * width * references.count // kv.tokens)
    return references.count, height // downsampling, width // downsampling


def _mean_of_columns(tensor: Tensor, grid: Grid) -> Tensor:
    """Average each two neighbors of a row."""
    heads, _, channels = tensor.shape
    return tensor.reshape(heads, -1, 2, channels).mean(2)


def _mean_of_squares(tensor: Tensor, grid: Grid) -> Tensor:
    """Average squares of 2 x 2 tokens."""
    heads, _, channels = tensor.shape
    count, height, width = grid
    return tensor.reshape(heads, count, height // 2, 2, width // 2, 2, channels).mean((3, 5)).flatten(1, 3)


def _mean_of_references(tensor: Tensor, grid: Grid) -> Tensor:
    """Average the first and second reference, the third and fourth, and so on. Their number is even."""
    heads, _, channels = tensor.shape
    return tensor.reshape(heads, grid[0] // 2, 2, -1, channels).mean(2).flatten(1, 2)


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        ALL: lambda references: references,
        "checkerboard": ReferenceKV.with_half_the_tokens,
        "columns": _changed(_mean_of_columns, 2),
        "squares": _changed(_mean_of_squares, 4),
        "references": _changed(_mean_of_references, 2),
    }
)
"""Name -> variant. Heights and widths of the finest level are even."""
