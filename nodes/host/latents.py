"""How the host describes the latents of the first stage."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable

import comfy.latent_formats
from torch import Tensor

from ...refldm_core.model.variants import ModelSpec


class ReFLDMLatent(comfy.latent_formats.LatentFormat):
    """The format of a first stage's latents. The colors of previews are fitted when the first preview is made.

    Attributes:
        fit_preview: `ReFLDMVAE.fit_preview` of the first stage; None gives no preview.
    """

    def __init__(self) -> None:
        self.fit_preview: Callable[[], tuple[Tensor, Tensor]] | None = None
        self._colors: tuple[list[list[float]], list[float]] | None = None

    def set_spec(self, spec: ModelSpec) -> None:
        self.scale_factor = spec.scale_factor
        self.latent_channels = spec.first_stage.embed_dim
        self.spacial_downscale_ratio = spec.first_stage.downsampling

    @property
    def latent_rgb_factors(self) -> list[list[float]] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._preview_colors()[0] if self.fit_preview else None

    @property
    def latent_rgb_factors_bias(self) -> list[float] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._preview_colors()[1] if self.fit_preview else None

    def _preview_colors(self) -> tuple[list[list[float]], list[float]]:
        if self._colors is None:
            assert self.fit_preview is not None
            factors, bias = self.fit_preview()
            self._colors = ((factors / self.scale_factor).tolist(), bias.tolist())
        return self._colors
