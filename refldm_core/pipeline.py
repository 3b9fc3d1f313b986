"""Restoration of face crops with references, from tensors to tensors, without files and global state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .diffusion.guidance import guided
from .diffusion.sampling import Model, ddim, dpmpp_2m, initial_noise, noise_latents
from .diffusion.schedule import sampling_table
from .diffusion.settings import ALL_TIMESTEPS, SamplingSettings
from .errors import ReferencesError
from .model.memory import free_bytes
from .model.null_cache import NullCache
from .model.precision import exact_float32, remedy_for, require_finite_values
from .model.reference import ReferenceKV
from .model.unet import References, UNet
from .model.variants import ModelSpec
from .model.vqgan import FirstStage
from .out_of_memory import PREDICTION, Parts, is_out_of_memory
from .progress import OnStep, ignore_steps

ReferenceEncoding = Literal["joint", "separate"]

PUBLISHED_SEED = 2024


class _Condition(NamedTuple):
    """The condition of one image: its LQ latent (c, h, w) and its references."""

    lq: Tensor
    references: ReferenceKV | None


def _conditions(lq_latents: Tensor, references: References, settings: SamplingSettings) -> list[_Condition]:
    if references is None or isinstance(references, ReferenceKV):
        references = [references] * len(lq_latents)
    # One object for one person, so that the images of a batch share the keys and values in memory.
    sets = {id(kv): _as_set(kv, settings) for kv in references if kv is not None}
    return [_Condition(lq, None if kv is None else sets[id(kv)]) for lq, kv in zip(lq_latents, references, strict=True)]


def _as_set(references: ReferenceKV, settings: SamplingSettings) -> ReferenceKV | None:
    """Return references with the strength and the tokens that the settings say."""
    weighted = references.with_strength(settings.reference_strength)
    return weighted if weighted is None or settings.reference_tokens == "all" else weighted.with_half_the_tokens()


class Restorer:
    """A loaded model. It encodes references once, and restores any number of crops with them.

    Args:
        unet: U-Net in the type that it computes in. The sampler's own arithmetic is float32.
        first_stage: First stage in float32 or bfloat16. Its codebook search always runs in float32.
        spec: Specification of both networks.
    """

    def __init__(self, unet: UNet, first_stage: FirstStage, spec: ModelSpec) -> None:
        self.unet = unet.eval()
        self.first_stage = first_stage.eval()
        self.spec = spec
        self._null_cache = NullCache(self.unet, lambda latent_size: self.null_references(1, latent_size))

    @property
    def device(self) -> torch.device:
        return next(self.unet.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type that the U-Net computes in."""
        return next(self.unet.parameters()).dtype

    @torch.no_grad()
    @exact_float32()
    def encode(self, images: Tensor) -> Tensor:
        """Encode pictures (batch, 3, height, width) in [-1, 1] as latents (batch, c, height / 8, width / 8).

        The latents are float32, and scaled for the U-Net.
        """
        return self.first_stage.encode(images.to(self.device)).float() * self.spec.scale_factor

    @torch.no_grad()
    @exact_float32()
    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents (batch, c, h, w) as pictures (batch, 3, 8 h, 8 w), float32 in about [-1, 1], not clamped.

        Raises:
            NotFiniteError: A picture has NaN or infinite values, because its latent has some.
        """
        pictures = self.first_stage.decode(latents.to(self.device) / self.spec.scale_factor).float()
        require_finite_values("restored pictures", pictures, remedy=remedy_for(self.dtype))
        return pictures

    @torch.no_grad()
    @exact_float32()
    def encode_references(self, images: Tensor, encoding: ReferenceEncoding = "joint") -> ReferenceKV:
        """Build the CacheKV of one person's reference photos.

        Args:
            images: (references, 3, crop, crop) in [-1, 1], aligned like the pictures to restore.
            encoding: "joint" encodes the references side by side as one wide image, like training and the published
                inference. "separate" encodes each reference alone. Its latents differ from the joint ones, and do not
                depend on the other references.

        Returns:
            `ReferenceKV` on the model's device and in the U-Net's type.

        Raises:
            ReferencesError: There is no image, or the device has too little memory to encode so many jointly.
            NotFiniteError: A key or value is NaN or infinite.
        """
        if not len(images):
            raise ReferencesError(
                "There is no reference image to encode.",
                expected="at least one",
                remedy="pass None as references to restore without any",
            )
        if encoding == "joint":
            latents = self._encode_jointly(images)
        else:
            latents = torch.cat([self.encode(image.unsqueeze(0)) for image in images])
        references = self.unet.encode_references(latents.to(self.device, self.dtype))
        require_finite_values("encoded references", *references.tensors, remedy=remedy_for(self.dtype))
        return references

    def _encode_jointly(self, images: Tensor) -> Tensor:
        """Encode references as one picture. Its first stage sees all of them at once, so parts would differ."""
        count, _, height, width = images.shape
        needed, free = self.first_stage.memory_needed(count * height * width), free_bytes(self.device)
        available = "not available" if free is None else f"{max(free, 0) / 2**30:.1f} GiB are free"
        fitting = "fewer" if free is None else f"at most {max(1, count * max(free, 0) // needed)}"
        too_large = ReferencesError(
            f"Encoding {count} references jointly takes about {needed / 2**30:.1f} GiB of memory; "
            f"{available} on {self.device}.",
            expected=f"that much free memory, or {fitting} references",
            remedy="encode each reference separately (--reference-encoding separate), which takes no more memory "
            "than one, or use fewer references, a 16-bit type, or the CPU",
        )
        if free is not None and needed > free:
            raise too_large
        try:
            wide_latent = self.encode(torch.cat(list(images), dim=-1).unsqueeze(0))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise too_large from error
        return torch.cat(wide_latent.chunk(count, dim=-1))

    @torch.no_grad()
    @exact_float32()
    def null_references(self, count: int, latent_size: tuple[int, int]) -> ReferenceKV:
        """Encode the null references of guidance: `count` latents of zeros.

        They are equal, so one is computed and stored, and counts `count` times (`ReferenceKV.repeat`).
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
        *,
        start: Tensor | None = None,
    ) -> Tensor:
        """Sample restored latents (paper section 3.1).

        Args:
            lq_latents: (batch, c, h, w), from `encode`.
            references: One set for all images, or one (or None) for each. The sets may differ in their numbers of
                references.
            seeds: Seeds of the initial noise, one for each image.
            settings: How to sample. None is the published way.
            on_step: Called after each step. Raising an exception stops the sampling.
            start: Latents, shaped as `lq_latents`, from which sampling starts where it does not start from noise alone.
                None is the LQ latents.

        Returns:
            (batch, c, h, w) float32, for `decode`. No image's result depends on another image.
        """
        settings = settings or SamplingSettings()
        lq_latents = lq_latents.to(self.device)
        if settings.strength == 0.0:
            return lq_latents.float()
        conditions = _conditions(lq_latents, references, settings)
        predict_noise = self._guided(conditions, settings)
        table = sampling_table(self.spec.noise, settings.steps, settings.spacing, settings.strength)
        noise, generators = initial_noise(seeds, (lq_latents.shape[1], lq_latents.shape[2], lq_latents.shape[3]))
        x = noise.to(self.device)
        if settings.strength < 1.0 or not self.spec.noise.starts_from_noise:
            x = noise_latents(lq_latents if start is None else start.to(self.device), x, next(table.steps()))
        if settings.sampler == "dpmpp_2m":
            return dpmpp_2m(predict_noise, x, table, on_step=on_step)
        return ddim(predict_noise, x, table, eta=settings.eta, generators=generators, on_step=on_step)

    def _guided(self, conditions: Sequence[_Condition], settings: SamplingSettings) -> Model:
        """Return the noise prediction with guidance. Images without references are not guided."""
        null_conditions: list[_Condition | None] = [None] * len(conditions)
        if settings.guidance != 1.0:
            # One object for one person, so that each step checks its layers once.
            nulls = {id(kv): self._null_cache.like(kv) for _, kv in conditions if kv is not None}
            null_conditions = [None if kv is None else _Condition(lq, nulls[id(kv)]) for lq, kv in conditions]
        # None means no interval, whatever the number of timesteps is.
        interval = None if settings.guidance_interval == ALL_TIMESTEPS else settings.guidance_interval
        parts = Parts(PREDICTION)

        def predict_noise(x: Tensor, t: int, conditions: Sequence[_Condition]) -> Tensor:
            predictions = parts.run(lambda part: self._predict_noise(x[part], t, conditions[part]), len(x))
            return predictions[0] if len(predictions) == 1 else torch.cat(predictions)

        return guided(predict_noise, conditions, null_conditions, settings.guidance, interval)

    def _predict_noise(self, x: Tensor, t: int, conditions: Sequence[_Condition]) -> Tensor:
        lq_latents = torch.stack([condition.lq for condition in conditions])
        references = [condition.references for condition in conditions]
        timesteps = torch.full((len(x),), t, device=x.device)
        return self.unet(torch.cat([x, lq_latents], dim=1).to(self.dtype), timesteps, references).float()

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
            crops: (batch, 3, crop, crop) in [-1, 1]. The model was trained for crops of `spec.crop_size`.
            references, seeds, settings, on_step: See `sample`.

        Returns:
            (batch, 3, crop, crop) float32, clamped to [-1, 1]. With strength 0 they equal the crops.

        Raises:
            NotFiniteError: See `decode`.
        """
        if settings is not None and settings.strength == 0.0:
            return crops.to(self.device).float().clamp(-1.0, 1.0)
        latents = self.sample(self.encode(crops.to(self.device)), references, seeds, settings, on_step)
        return self.decode(latents).clamp(-1.0, 1.0)
