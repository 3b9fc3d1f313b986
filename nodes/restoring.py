"""Sampling of latents, for the nodes that restore faces."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..refldm_core.diffusion.sampling import initial_noise
from ..refldm_core.diffusion.schedule import sampling_table
from ..refldm_core.diffusion.settings import ALL_TIMESTEPS, ReferenceTokens, SamplingSettings
from . import host
from .types import ReferenceSet


def sample_latents(
    model: Any,
    lq_latents: Tensor,
    references: tuple[ReferenceSet | None, ...],
    seeds: Sequence[int],
    settings: SamplingSettings,
    *,
    seed: int,
    reference_strength: float = 1.0,
    tokens: ReferenceTokens = "all",
    shows_steps: bool = True,
) -> Tensor:
    """Restore latents with the host's sampling, in parts that fit into the device's memory.

    Args:
        model: A MODEL of ReF-LDM.
        lq_latents: (batch, c, h, w), as the VAE encodes the LQ crops.
        references: One set for all crops, one for each crop (None for a stranger), or none at all.
        seeds: The seed of each crop's initial noise.
        settings: Settings of the sampler. A strength of 0 gives the LQ latents back.
        seed: Seed for noise that is drawn during sampling.
        reference_strength: See `ReferenceKV.with_strength`.
        tokens: Which tokens of the references are kept.
        shows_steps: Whether the node shows the progress and previews of the steps. Both ways notice an interruption.

    Returns:
        (batch, c, h, w).

    Raises:
        ReferencesError: there are several sets of references, but not one for each crop.
    """
    host.require_one_for_each(references, len(lq_latents))
    if settings.strength == 0.0:
        return lq_latents
    if settings.guidance_interval != ALL_TIMESTEPS:
        model = host.limit_guidance_to_timesteps(model, settings.guidance_interval)
    noise_levels = model.model.spec.noise
    table = sampling_table(noise_levels, settings.steps, settings.spacing, settings.strength)
    from_noise = settings.strength >= 1.0 and noise_levels.starts_from_noise
    noise, _ = initial_noise(seeds, (lq_latents.shape[1], lq_latents.shape[2], lq_latents.shape[3]))
    parts = host.split_by_memory(model, lq_latents.shape)
    sampled: list[Tensor] = []
    for number, part in enumerate(parts):
        people = references[part] if len(parts) > 1 and len(references) > 1 else references
        positive, negative, latent = host.build_conditioning(
            lq_latents[part], people, reference_strength, tokens=tokens
        )
        sampled.append(
            host.sample(
                model,
                (positive, negative),
                host.CoreSampler(settings.sampler, table, from_noise=from_noise),
                latents=latent["samples"] if from_noise else lq_latents[part],
                noise=noise[part],
                cfg=settings.guidance,
                seed=seed,
                part=(number, len(parts)) if shows_steps else None,
            )
        )
    return torch.cat(sampled)
