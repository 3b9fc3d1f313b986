"""Named ways of sampling, from the published one to the quickest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .pipeline import ALL_TIMESTEPS, SamplingSettings

PUBLISHED = "published"


@dataclass(frozen=True)
class Preset:
    """A way of sampling.

    Attributes:
        settings: what it stands for.
        cost: what it costs in likeness, as measured, in words.
    """

    settings: SamplingSettings
    cost: str

    def __str__(self) -> str:
        """Settings and cost in one line."""
        settings = self.settings
        guidance = f"guidance {settings.guidance:g}" if settings.guidance != 1.0 else "no guidance"
        if settings.guidance_interval != ALL_TIMESTEPS and settings.guidance != 1.0:
            guidance += " at timesteps {} to {}".format(*settings.guidance_interval)
        return f"{settings.steps} {settings.sampler} steps, {guidance} ({self.cost})"


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        PUBLISHED: Preset(SamplingSettings(), "the published settings"),
        "fast": Preset(
            SamplingSettings(steps=5, sampler="dpmpp_2m"),
            "TODO-MEASURE in identity similarity",
        ),
        # Guided where it shapes the face; not in the noisiest step, where guidance narrows the choice (arXiv
        # 2404.07724), nor in the cleanest, where hardly anything is left to decide.
        "fastest": Preset(
            SamplingSettings(steps=5, sampler="dpmpp_2m", guidance_interval=(200, 800)),
            "TODO-MEASURE in identity similarity",
        ),
    }
)
"""Name -> preset. `python -m benchmarks.settings` measures what one costs."""
