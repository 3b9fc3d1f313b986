"""What the sockets of this pack carry, and how its nodes describe themselves."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.model.reference import ReferenceKV

CATEGORY = "ReF-LDM"

References = io.Custom("REFLDM_REFERENCES")
"""A tuple of `ReferenceSet`: one for every picture of a batch, or one for each (None for a stranger)."""


class ReferenceSet:
    """One person: the keys and values of their photos, and what they can be built again from.

    Attributes:
        kv: keys and values, off the accelerator; their fingerprint names the weights that made them, LoRA included.
        latents: (references, c, h, w) float32 on the CPU as the U-Net takes them, or None where a file lacks them.
        thumbnails: (references, 3, height, width) uint8, or None.
        names: what each reference is called, empty or one for each.
    """

    def __init__(
        self,
        kv: ReferenceKV,
        latents: Tensor | None = None,
        thumbnails: Tensor | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        self.kv = kv
        self.latents = latents
        self.thumbnails = thumbnails
        self.names = names
        self._rebuilt: ReferenceKV | None = None

    def for_weights(self, fingerprint: str, build: Callable[[Tensor], ReferenceKV]) -> ReferenceKV:
        """Keys and values made by the weights of that fingerprint, built again where only a LoRA differs.

        Args:
            fingerprint: of the weights in use, as `host.fingerprint_of` gives it.
            build: makes keys and values from latents with the weights in use.

        Raises:
            ReferencesError: another model's references.
        """
        if self.kv.fingerprint == fingerprint:
            return self.kv
        if self.latents is None or _without_patches(self.kv.fingerprint) != _without_patches(fingerprint):
            self.kv.require_fit(fingerprint, self.kv.latent_size)  # raises
            raise AssertionError("unreachable: the fingerprints differ")
        if self._rebuilt is None or self._rebuilt.fingerprint != fingerprint:
            self._rebuilt = build(self.latents)
        return self._rebuilt


def patched(fingerprint: str, patches: str) -> str:
    """The fingerprint of a model's weights with patches (LoRA, merges) on them."""
    return f"{fingerprint}+{patches}" if patches else fingerprint


def _without_patches(fingerprint: str) -> str:
    return fingerprint.partition("+")[0]


def schema(node_id: str, *, search_aliases: list[str], **described: Any) -> io.Schema:
    """A node's description in this pack's category; search aliases where the host knows them."""
    if "search_aliases" in io.Schema.__dataclass_fields__:
        described["search_aliases"] = search_aliases
    return io.Schema(node_id=f"ReFLDM_{node_id}", category=CATEGORY, **described)
