"""The modes in which the video benchmark restores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from refldm_core.diffusion.settings import SamplingSettings
from refldm_core.temporal import FRAME_BY_FRAME, STEADY, TemporalSettings

from ..settings.setting import Setting

DEGRADED, COPY = "degraded", "truth through the first stage"
"""The degraded frames as they are, and the best that any sampling can give."""


@dataclass(frozen=True)
class Mode:
    """A way of restoring a video.

    Attributes:
        temporal: how frames depend on the frames before.
        averaged: whether the landmarks are averaged over the frames before and after. Otherwise they are smoothed with
            the past only.
        steady_colors: whether the pasted face has the colors of steadied crops (`with_steady_colors`). Otherwise it has
            those of its degraded frame, which is the default of pasting.
        new_noise: whether each frame has noise of its own.
        sampling: settings of the sampler. None is those of --steps.
    """

    temporal: TemporalSettings = FRAME_BY_FRAME
    averaged: bool = True
    steady_colors: bool = True
    new_noise: bool = False
    sampling: SamplingSettings | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the mode as a JSON file gives it back. Earlier files have no sampling, so None is left out."""
        values = asdict(self)
        del values["sampling"]
        return values if self.sampling is None else {**values, "sampling": self.sampling.as_json()}


MODES: dict[str, Mode] = {
    "new noise": Mode(averaged=False, steady_colors=False, new_noise=True),
    "fixed noise": Mode(averaged=False, steady_colors=False),
    "fixed noise, averaged landmarks": Mode(steady_colors=False),
    "previous latent, 0.5": Mode(TemporalSettings(strength=0.5)),
    "smoothed latents, 0.8": Mode(TemporalSettings(smoothing=0.8)),
    "steadied crops, 0.5": Mode(TemporalSettings(steadying=0.5)),
    "steadied crops, 0.8": Mode(TemporalSettings(steadying=0.8)),
}
"""The first two restore every frame by itself. All others average landmarks. Workflow 06 has steadied crops of 0.5."""


def steadied_modes(settings: Sequence[str]) -> dict[str, Mode]:
    """Return a mode with steadied crops for each setting of the sampler.

    Args:
        settings: names of presets, or settings in the form of `benchmarks.settings`, without a number type.

    Raises:
        SettingsError: a setting has no meaning.
    """
    return {name: Mode(STEADY, sampling=Setting.parse(name).sampling) for name in settings}
