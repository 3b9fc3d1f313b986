"""The settings of the sampling.

This module imports no library, so that the command line shows the choices and presets at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import SettingsError
from ..ranges import check_ranges, ranged_field

SamplerName = Literal["ddim", "dpmpp_2m"]
Spacing = Literal["trailing", "uniform"]

ReferenceTokens = Literal["all", "half"]

Interval = tuple[int, int]
"""The timesteps low..high, including both. 0 is the cleanest."""

PUBLISHED_TIMESTEPS = 1000
"""Noise levels of the published model."""

ALL_TIMESTEPS: Interval = (0, PUBLISHED_TIMESTEPS - 1)

MOST_STRENGTH = 100.0
"""Largest strength of references. A far smaller one already lets the references alone count."""


@dataclass(frozen=True)
class SamplingSettings:
    """Settings of the sampling. The defaults are those of the published inference script.

    Attributes:
        steps: Sampling steps, 1..1000.
        sampler: "ddim" (published), or "dpmpp_2m", which needs fewer steps.
        spacing: Spacing of the timesteps: "trailing" (published script) or "uniform" (paper).
        guidance: Guidance scale. 1.5 is published. 1 is no guidance, with one prediction a step instead of two.
        guidance_interval: First and last timestep that is guided, 0..999 (arXiv 2404.07724). Steps outside it are not
            guided. The published code guides all.
        eta: Noise that a DDIM step adds, 0..1. 0 is published.
        strength: How far the face may move from the picture, 0..1. This part of the noise levels is sampled
            (`sampling_table`), from the LQ latent with noise of the first level. 1 starts from noise alone, as
            published, where the model's schedule allows it (`NoiseSpec.starts_from_noise`). 0 leaves the picture
            unchanged.
        reference_strength: How much the references count, 0..100 (`ReferenceKV.with_strength`). The null references of
            guidance get the same strength. 1 is published. 0 is no references.
        reference_tokens: "all" (published), or "half" for faster steps with many references
            (`ReferenceKV.with_half_the_tokens`).

    Raises:
        SettingsError: A value has no meaning.
    """

    steps: int = 50
    sampler: SamplerName = "ddim"
    spacing: Spacing = "trailing"
    guidance: float = 1.5
    eta: float = 0.0
    guidance_interval: Interval = ALL_TIMESTEPS
    strength: float = ranged_field(1.0, 0.0, 1.0)
    reference_strength: float = ranged_field(1.0, 0.0, MOST_STRENGTH)
    reference_tokens: ReferenceTokens = "all"

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
        """Return the settings as a JSON file gives them back, for comparison with the file of an earlier run.

        A strength of 1 and all reference tokens are left out, because the earliest files do not have them.
        """
        values = {**asdict(self), "guidance_interval": list(self.guidance_interval)}
        later = {"strength": 1.0, "reference_strength": 1.0, "reference_tokens": "all"}
        return {name: value for name, value in values.items() if name not in later or value != later[name]}
