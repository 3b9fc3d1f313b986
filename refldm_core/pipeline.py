"""Restoring face crops with references, from tensors to tensors: no file I/O, no globals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from .diffusion.guidance import Interval, guided
from .diffusion.sampling import SamplerName, ddim, dpmpp_2m, initial_noise
from .diffusion.schedule import NoiseSpec, Spacing, sampling_table
from .errors import ReferencesError, SettingsError
from .model.memory import free_bytes
from .model.precision import exact_float32, remedy_for, require_finite_values
from .model.reference import MOST_STRENGTH, ReferenceKV
from .model.unet import References, UNet
from .model.variants import ModelSpec
from .model.vqgan import FirstStage
from .progress import OnStep, ignore_steps
from .ranges import bounded, check_ranges

ReferenceEncoding = Literal["joint", "separate"]

ALL_TIMESTEPS: Interval = (0, NoiseSpec().timesteps - 1)


@dataclass(frozen=True)
class SamplingSettings:
    """How to sample; the defaults are those of the published inference script.

    Attributes:
        steps: sampling steps, 1..1000.
        sampler: "ddim" (published) or "dpmpp_2m", which needs fewer steps.
        spacing: of the timesteps; "trailing" (published script) or "uniform" (paper).
        guidance: 1 is off (one prediction a step instead of two), 1.5 is published.
        guidance_interval: first and last timestep that is guided, 0..999 (arXiv 2404.07724); steps outside it are as
            without guidance. All are, as published.
        eta: DDIM's noise, 0..1; 0 is published.
        strength: how far the face may move from the picture, 0..1: the part of the noise levels that sampling goes
            through (`sampling_table`), from the picture's own latent with noise of that level on it. 1 starts from
            noise alone, as published; 0 leaves the picture as it is.
        reference_strength: how much the references count, 0..100 (`ReferenceKV.with_strength`), guidance's null
            references alike. 1 is published; 0 is no references.

    Raises:
        SettingsError: a value that has no meaning.
    """

    steps: int = 50
    sampler: SamplerName = "ddim"
    spacing: Spacing = "trailing"
    guidance: float = 1.5
    eta: float = 0.0
    guidance_interval: Interval = ALL_TIMESTEPS
    strength: float = bounded(1.0, 0.0, 1.0)
    reference_strength: float = bounded(1.0, 0.0, MOST_STRENGTH)

    def __post_init__(self) -> None:
        check_ranges(self)
        if not 0.0 <= self.eta <= 1.0 or (self.eta and self.sampler != "ddim"):
            raise SettingsError(
                f"eta {self.eta} has no meaning for the sampler {self.sampler}.",
                expected="0..1 for ddim, 0 for every other sampler",
                remedy="leave eta at 0, the published value",
            )
        low, high = self.guidance_interval
        if not 0 <= low <= high <= ALL_TIMESTEPS[1]:
            raise SettingsError(
                f"The guidance interval from timestep {low} to {high} has no meaning.",
                expected=f"two timesteps, the cleaner one first, from 0 (clean) to {ALL_TIMESTEPS[1]} (noise)",
                remedy="correct it, or leave it out to guide every step; for no guidance at all set guidance to 1",
            )

    def as_json(self) -> dict[str, Any]:
        """As a JSON file gives it back, so that what an earlier run wrote down can be compared with this.

        The strengths are in it where they are not 1, since runs before there were strengths wrote none.
        """
        written = {**asdict(self), "guidance_interval": list(self.guidance_interval)}
        strengths = ("strength", "reference_strength")
        return {name: value for name, value in written.items() if name not in strengths or value != 1.0}


PUBLISHED_SEED = 2024


class _Condition(NamedTuple):
    """What the U-Net sees of one image: its LQ latent (c, h, w) and its references."""

    lq: Tensor
    references: ReferenceKV | None


def _kind(references: ReferenceKV) -> tuple[int, float]:
    """What the null references of guidance have in common with these; sets of one kind share them."""
    return references.count, references.strength


class Restorer:
    """A loaded model: encodes references once, then restores any number of crops with them.

    Args:
        unet: in the type that it should compute in; the sampler's own arithmetic is float32.
        first_stage: in float32 or bfloat16; its codebook search is done in float32 all the same.
        spec: of both.
    """

    def __init__(self, unet: UNet, first_stage: FirstStage, spec: ModelSpec) -> None:
        self.unet = unet.eval()
        self.first_stage = first_stage.eval()
        self.spec = spec
        self._null: tuple[object, ReferenceKV] | None = None

    @property
    def device(self) -> torch.device:
        return next(self.unet.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type that the U-Net computes in."""
        return next(self.unet.parameters()).dtype

    @torch.no_grad()
    @exact_float32()
    def encode(self, images: Tensor) -> Tensor:
        """(batch, 3, height, width) in [-1, 1] -> (batch, c, height / 8, width / 8) float32, scaled for the U-Net."""
        return self.first_stage.encode(images.to(self.device)).float() * self.spec.scale_factor

    @torch.no_grad()
    @exact_float32()
    def decode(self, latents: Tensor) -> Tensor:
        """(batch, c, h, w) -> (batch, 3, 8 h, 8 w) float32 in about [-1, 1], not clamped.

        Raises:
            NotFiniteError: a picture has NaN or infinite values, as it has where its latent has some.
        """
        pictures = self.first_stage.decode(latents.to(self.device) / self.spec.scale_factor).float()
        require_finite_values("restored pictures", pictures, remedy=remedy_for(self.dtype))
        return pictures

    @torch.no_grad()
    @exact_float32()
    def encode_references(self, images: Tensor, encoding: ReferenceEncoding = "joint") -> ReferenceKV:
        """Build the CacheKV of one person's reference photos.

        Args:
            images: (references, 3, crop, crop) in [-1, 1], aligned as the pictures to restore are.
            encoding: "joint" encodes the references as one image, side by side along the width, as training and
                the published inference do; "separate" encodes each alone, which gives other latents, but each
                reference's own do not depend on the others.

        Returns:
            `ReferenceKV` on the model's device and in the U-Net's type.

        Raises:
            ReferencesError: no image, or so many that encoding them jointly takes more memory than the device has.
            NotFiniteError: a key or value is NaN or infinite.
        """
        if not len(images):
            raise ReferencesError(
                "There is no reference image to encode.",
                expected="at least one",
                remedy="pass None as references to restore without any",
            )
        if encoding == "joint":
            self._require_memory_for_joint_encoding(images)
            side_by_side = torch.cat(list(images), dim=-1).unsqueeze(0)
            latents = torch.cat(self.encode(side_by_side).chunk(len(images), dim=-1))
        else:
            latents = torch.cat([self.encode(image.unsqueeze(0)) for image in images])
        references = self.unet.encode_references(latents.to(self.device, self.dtype))
        require_finite_values("encoded references", *references.tensors, remedy=remedy_for(self.dtype))
        return references

    def _require_memory_for_joint_encoding(self, images: Tensor) -> None:
        count, _, height, width = images.shape
        needed, free = self.first_stage.memory_needed(count * height * width), free_bytes(self.device)
        if free is not None and needed > free:
            raise ReferencesError(
                f"Encoding {count} references jointly takes about {needed / 2**30:.1f} GiB of memory; "
                f"{max(free, 0) / 2**30:.1f} GiB are free on {self.device}.",
                expected=f"that much free memory, or at most {max(1, count * max(free, 0) // needed)} references",
                remedy="encode each reference separately (--reference-encoding separate), which takes no more memory "
                "than one, or use fewer references, a 16-bit type, or the CPU",
            )

    @torch.no_grad()
    @exact_float32()
    def null_references(self, count: int, latent_size: tuple[int, int]) -> ReferenceKV:
        """The null of guidance: `count` all-zero latents, run through the U-Net as any reference is.

        They are equal, so that they are computed, kept and attended to as one that counts `count` times.
        """
        zeros = torch.zeros(1, self.spec.unet.out_channels, *latent_size, device=self.device, dtype=self.dtype)
        return self.unet.encode_references(zeros).repeat(count)

    @torch.no_grad()
    @exact_float32()
    def sample(
        self,
        lq_latents: Tensor,
        references: References,
        seeds: Sequence[int],
        settings: SamplingSettings | None = None,
        on_step: OnStep = ignore_steps,
    ) -> Tensor:
        """Sample restored latents.

        Args:
            lq_latents: (batch, c, h, w), from `encode`.
            references: one set for all images, or one (or None) for each; images may have different numbers.
            seeds: of the initial noise, one for each image.
            settings: how to sample; None is the published way.
            on_step: called after each step; raising stops the sampling.

        Returns:
            (batch, c, h, w) float32, for `decode`. Each image's result does not depend on the others.
        """
        settings = settings or SamplingSettings()
        latents = lq_latents.to(self.device)
        if settings.strength == 0.0:
            return latents.float()
        table = sampling_table(self.spec.noise, settings.steps, settings.spacing, settings.strength)
        if references is None or isinstance(references, ReferenceKV):
            references = [references] * len(latents)
        conditions = [
            _Condition(lq, None if kv is None else kv.with_strength(settings.reference_strength))
            for lq, kv in zip(latents, references, strict=True)
        ]
        nulls = self._null_conditions(conditions) if settings.guidance != 1.0 else [None] * len(conditions)
        # None means no interval, whatever the number of timesteps.
        interval = None if settings.guidance_interval == ALL_TIMESTEPS else settings.guidance_interval
        model = guided(self._predict_noise, conditions, nulls, settings.guidance, interval)
        noise, generators = initial_noise(seeds, (latents.shape[1], latents.shape[2], latents.shape[3]))
        x = noise.to(self.device)
        if settings.strength < 1.0:
            first = next(table.steps())
            x = math.sqrt(first.alpha_bar) * latents.float() + first.sqrt_one_minus_alpha_bar * x
        if settings.sampler == "dpmpp_2m":
            return dpmpp_2m(model, x, table, on_step=on_step)
        return ddim(model, x, table, eta=settings.eta, generators=generators, on_step=on_step)

    def _predict_noise(self, x: Tensor, t: int, conditions: Sequence[_Condition]) -> Tensor:
        lq = torch.stack([condition.lq for condition in conditions])
        references = [condition.references for condition in conditions]
        timesteps = torch.full((len(x),), t, device=x.device)
        return self.unet(torch.cat([x, lq], dim=1).to(self.dtype), timesteps, references).float()

    def _null_reference(self, latent_size: tuple[int, int]) -> ReferenceKV:
        """A null reference, kept for as long as the latent size and the weights stay as they are."""
        # An inference tensor counts no versions, and nobody can train it.
        weights = [(p.data_ptr(), p.dtype, 0 if p.is_inference() else p._version) for p in self.unet.parameters()]
        made_for = (latent_size, weights)
        if self._null is None or self._null[0] != made_for:
            self._null = made_for, self.null_references(1, latent_size)
        return self._null[1]

    def _null_conditions(self, conditions: Sequence[_Condition]) -> list[_Condition | None]:
        """The same LQ latents with null references; images without references are not guided."""
        size = (conditions[0].lq.shape[1], conditions[0].lq.shape[2])
        kinds = {_kind(c.references) for c in conditions if c.references is not None}
        nulls = {kind: self._null_reference(size).repeat(kind[0]).with_strength(kind[1]) for kind in kinds}
        return [None if c.references is None else _Condition(c.lq, nulls[_kind(c.references)]) for c in conditions]

    def restore(
        self,
        crops: Tensor,
        references: References,
        seeds: Sequence[int],
        settings: SamplingSettings | None = None,
        on_step: OnStep = ignore_steps,
    ) -> Tensor:
        """Restore aligned face crops.

        Args:
            crops: (batch, 3, crop, crop) in [-1, 1]; `spec.crop_size` is the size that the model was trained for.

        Returns:
            (batch, 3, crop, crop) float32, clamped to [-1, 1]. With strength 0 these are the crops themselves.

        Raises:
            NotFiniteError: as `decode`.

        See `sample` for the other arguments.
        """
        if settings is not None and settings.strength == 0.0:
            return crops.to(self.device).float().clamp(-1.0, 1.0)
        latents = self.sample(self.encode(crops.to(self.device)), references, seeds, settings, on_step)
        return self.decode(latents).clamp(-1.0, 1.0)
