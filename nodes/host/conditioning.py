"""References and low-quality (LQ) latents in the host's conditioning: writing, batching and measuring them."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.conds
import comfy.model_management
import torch
from torch import Tensor

from ...refldm_core.diffusion.settings import ReferenceTokens
from ...refldm_core.errors import ReferencesError
from ...refldm_core.model.reference import ReferenceKV
from ..types import ReferenceSet

# Keys of a CONDITIONING entry that `ReFLDMModel.extra_conds` reads.
REFERENCES_KEY = "refldm_references"
NULL_KEY = "refldm_null"
STRENGTH_KEY = "refldm_reference_strength"
TOKENS_KEY = "refldm_reference_tokens"
LQ_KEY = "concat_latent_image"


def require_one_for_each(people: tuple[ReferenceSet | None, ...], pictures: int) -> None:
    """Check that there is at most one set of references, or one for each picture.

    Raises:
        ReferencesError: there is another number of sets.
    """
    if len(people) > 1 and len(people) != pictures:
        raise ReferencesError(
            f"{len(people)} people were given for {pictures} pictures.",
            expected="one person for all pictures, or one for each",
            remedy="join as many references as there are pictures with the node Batch References",
        )


def build_conditioning(
    lq_latents: Tensor,
    people: tuple[ReferenceSet | None, ...],
    strength: float = 1.0,
    *,
    tokens: ReferenceTokens = "all",
    from_noise: bool = True,
) -> tuple[list[list[Any]], list[list[Any]], dict[str, Tensor]]:
    """Return positive and negative CONDITIONING, and the LATENT to which the sampler adds the initial noise.

    Args:
        lq_latents: (batch, c, h, w), as the VAE encodes the LQ pictures.
        people: One set of references for all pictures, or one for each picture (None for a picture without
            references). An empty tuple means no references.
        strength: Strength of the references, see `ReferenceKV.with_strength`.
        tokens: Which tokens of the references are kept, see `SamplingSettings`.
        from_noise: Whether sampling starts from noise alone (`NoiseSpec.starts_from_noise`). The LATENT is then empty.
            Otherwise it holds the LQ latents.

    Raises:
        ReferencesError: there are several sets, but not one for each picture.
    """
    require_one_for_each(people, len(lq_latents))
    shared = {LQ_KEY: lq_latents, REFERENCES_KEY: people, STRENGTH_KEY: strength, TOKENS_KEY: tokens}
    # Every CONDITIONING of the host holds a text embedding, and some nodes compute with it. This model has no text.
    unused = torch.zeros(1, 1, 1)
    start = lq_latents.to(comfy.model_management.intermediate_device())
    latent = {"samples": torch.zeros_like(start) if from_noise else start}
    return [[unused, {**shared, NULL_KEY: False}]], [[unused, {**shared, NULL_KEY: True}]], latent


class ReferenceBatch:
    """The references of each image of a batch, as the U-Net takes them.

    This is a class of its own because the host would cast a list or a tensor.
    """

    def __init__(self, sets: tuple[ReferenceKV | None, ...]) -> None:
        self.sets = sets

    def to(self, device: torch.device) -> ReferenceBatch:
        return ReferenceBatch(tuple(None if kv is None else kv.to(device) for kv in self.sets))


class CondReferences(comfy.conds.CONDRegular):
    """References in the host's conditioning. Entries with different numbers of references fit into one batch."""

    cond: tuple[ReferenceKV | None, ...]

    def process_cond(self, batch_size: int, **_: Any) -> CondReferences:
        repeats = -(-batch_size // len(self.cond))
        return CondReferences((self.cond * repeats)[:batch_size])

    def can_concat(self, other: Any) -> bool:
        return isinstance(other, CondReferences)

    def concat(self, others: Sequence[CondReferences]) -> ReferenceBatch:
        return ReferenceBatch(sum((entry.cond for entry in others), self.cond))

    def size(self) -> list[int]:
        distinct = {id(kv): kv for kv in self.cond if kv is not None}
        return [sum(count_elements(kv) for kv in distinct.values())]


def count_elements(kv: ReferenceKV) -> int:
    """Return how many numbers the keys and values of all layers hold."""
    return sum(tensor.numel() for tensor in kv.tensors)
