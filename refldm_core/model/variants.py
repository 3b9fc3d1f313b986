"""The specification of a whole model, and that of the released one."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..diffusion.schedule import NoiseSpec
from ..errors import OutOfRangeError, SettingsError
from ..ranges import check_ranges, ranged_field
from .unet import UNetSpec
from .vqgan import FirstStageSpec


@dataclass(frozen=True)
class ModelSpec:
    """All values that are needed to build a model and to sample from it.

    Attributes:
        unet, first_stage: Shapes of the two networks.
        noise: Noise levels of the training.
        latent_size: Height and width of the latents that the U-Net was trained on. The shapes of the weights do not
            tell it.
        scale_factor: Factor of the latents that the U-Net works on, including those of LQ pictures and references.

    Raises:
        OutOfRangeError: The latent size or the scale factor is outside its range.
        SettingsError: The U-Net and the first stage do not fit together.
    """

    unet: UNetSpec = field(default_factory=UNetSpec)
    first_stage: FirstStageSpec = field(default_factory=FirstStageSpec)
    noise: NoiseSpec = field(default_factory=NoiseSpec)
    latent_size: int = ranged_field(64, 1, 1024)
    scale_factor: float = ranged_field(1.0, 1e-4, 1e4)

    def __post_init__(self) -> None:
        check_ranges(self)
        smallest = 2 ** (len(self.unet.channel_mult) - 1)
        # A single pixel in the lowest level could leave its normalization one number for each group.
        if self.latent_size % smallest or self.latent_size < 2 * smallest:
            raise OutOfRangeError(
                "latent_size",
                str(self.latent_size),
                f"a multiple of {smallest}, from {2 * smallest} on: the U-Net's levels divide it by {smallest}",
            )
        latent = self.first_stage.embed_dim
        if (self.unet.in_channels, self.unet.out_channels) != (2 * latent, latent):
            raise SettingsError(
                f"The U-Net takes {self.unet.in_channels} channels and predicts {self.unet.out_channels}, the first "
                f"stage's latents have {latent}.",
                expected="a U-Net that takes two latents, the noisy and the LQ one, and predicts one",
                remedy="use a U-Net and a first stage that were trained together",
            )

    @property
    def crop_size(self) -> int:
        """Height and width of the face crops that the model restores, in pixels."""
        return self.latent_size * self.first_stage.downsampling


RELEASED = ModelSpec()
"""https://github.com/ChiWeiHsiao/ref-ldm, release 1.0.0: 512 px faces."""
