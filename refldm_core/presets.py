"""Named sampling settings, from the published ones to the fastest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .diffusion.settings import ALL_TIMESTEPS, SamplingSettings

PUBLISHED = "published"


@dataclass(frozen=True)
class Preset:
    """Sampling settings and their measured cost.

    Attributes:
        settings: The sampling settings.
        cost: The measured change of the likeness, in words.
    """

    settings: SamplingSettings
    cost: str

    def __str__(self) -> str:
        """Return the settings and the cost in one line."""
        settings = self.settings
        guidance = f"guidance {settings.guidance:g}" if settings.guidance != 1.0 else "no guidance"
        if settings.guidance_interval != ALL_TIMESTEPS and settings.guidance != 1.0:
            guidance += " at timesteps {} to {}".format(*settings.guidance_interval)
        steps = f"{settings.steps} {settings.sampler} step{'s' if settings.steps != 1 else ''}"
        strength = f", strength {settings.strength:g}" if settings.strength != 1.0 else ""
        return f"{steps}, {guidance}{strength} ({self.cost})"


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        PUBLISHED: Preset(SamplingSettings(), "the published settings"),
        "balanced": Preset(SamplingSettings(steps=10, sampler="dpmpp_2m"), "IDS +0.005 +/- 0.001 on rendered people"),
        "video": Preset(
            SamplingSettings(steps=4, sampler="dpmpp_2m"),
            "IDS +0.011 +/- 0.003 on rendered people, for frames of videos",
        ),
        # Two is the smallest number of steps that keeps the likeness of rendered people within 0.01.
        # Guidance changes little at the noisier step, so only the other one is guided.
        "fast": Preset(
            SamplingSettings(steps=2, sampler="dpmpp_2m", guidance_interval=(0, 500)),
            "IDS +0.017 +/- 0.003 on rendered people, softer pictures",
        ),
        "touch-up": Preset(
            SamplingSettings(steps=1, strength=0.25),
            "for faces that are nearly right, whose IDS rises by 0.052 +/- 0.014 on rendered people",
        ),
    }
)
"""Name -> preset. `python -m benchmarks.settings` measures the costs."""


def describe_presets() -> str:
    """Return all presets with their settings and costs in one line."""
    return "; ".join(f"{name}: {preset}" for name, preset in PRESETS.items())
