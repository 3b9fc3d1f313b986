"""Latents of the first stage as the host describes them."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable

import comfy.latent_formats
from torch import Tensor

from ...refldm_core.model.variants import ModelSpec


class ReFLDMLatent(comfy.latent_formats.LatentFormat):
    """Latents of a first stage, with preview colors fitted to it when a preview is first asked for."""

    def __init__(self) -> None:
        self.fit_preview: Callable[[], tuple[Tensor, Tensor]] | None = None
        self._colors: tuple[list[list[float]], list[float]] | None = None

    def describe(self, spec: ModelSpec) -> None:
        self.scale_factor = spec.scale_factor
        self.latent_channels = spec.first_stage.embed_dim
        self.spacial_downscale_ratio = spec.first_stage.downsampling

    @property
    def latent_rgb_factors(self) -> list[list[float]] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._fitted()[0] if self.fit_preview else None

    @property
    def latent_rgb_factors_bias(self) -> list[float] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._fitted()[1] if self.fit_preview else None

    def _fitted(self) -> tuple[list[list[float]], list[float]]:
        if self._colors is None:
            assert self.fit_preview is not None
            factors, bias = self.fit_preview()
            self._colors = ((factors / self.scale_factor).tolist(), bias.tolist())
        return self._colors
