"""A model's whole specification, and the released one as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..diffusion.schedule import NoiseSpec
from .unet import UNetSpec
from .vqgan import FirstStageSpec


@dataclass(frozen=True)
class ModelSpec:
    """Everything that must be known to build and sample a model.

    Attributes:
        unet, first_stage: the two networks.
        noise: the noise that the model was trained on.
        latent_size: height and width of the latent that the U-Net was trained on; shapes do not tell it.
        scale_factor: the U-Net works on latents times this, those of LQ pictures and references included.
    """

    unet: UNetSpec = field(default_factory=UNetSpec)
    first_stage: FirstStageSpec = field(default_factory=FirstStageSpec)
    noise: NoiseSpec = field(default_factory=NoiseSpec)
    latent_size: int = 64
    scale_factor: float = 1.0

    @property
    def crop_size(self) -> int:
        """Height and width of the face crops that the model restores, in pixels."""
        return self.latent_size * self.first_stage.downsampling


RELEASED = ModelSpec()
"""https://github.com/ChiWeiHsiao/ref-ldm, release 1.0.0: 512 px faces."""
