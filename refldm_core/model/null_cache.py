"""A speed trick: keep the null reference of guidance between calls."""

from __future__ import annotations

from collections.abc import Callable

from .reference import ReferenceKV
from .unet import UNet


class NullCache:
    """Keeps one null reference while the latent size and the weights of the U-Net stay the same.

    It equals a new one (tests/test_pipeline.py, test_the_null_reference_is_encoded_again_only_if_the_weights_change).

    Args:
        unet: U-Net whose weights are watched.
        encode: Computes one null reference for a latent size (height, width).
    """

    def __init__(self, unet: UNet, encode: Callable[[tuple[int, int]], ReferenceKV]) -> None:
        self._unet = unet
        self._encode = encode
        self._null: tuple[object, ReferenceKV] | None = None

    def like(self, references: ReferenceKV) -> ReferenceKV | None:
        """Return as many null references as there are references, with the same strength."""
        null = self._reference(references.latent_size)
        return null.repeat(references.count).with_strength(references.strength)

    def _reference(self, latent_size: tuple[int, int]) -> ReferenceKV:
        # An inference tensor counts no versions, and cannot be trained.
        weights = [(p.data_ptr(), p.dtype, 0 if p.is_inference() else p._version) for p in self._unet.parameters()]
        state = (latent_size, weights)
        if self._null is None or self._null[0] != state:
            self._null = state, self._encode(latent_size)
        return self._null[1]
