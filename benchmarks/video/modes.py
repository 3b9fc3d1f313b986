"""The modes in which the video benchmark restores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from refldm_core.temporal import FRAME_BY_FRAME, TemporalSettings

DEGRADED, COPY = "degraded", "truth through the first stage"
"""The degraded frames as they are, and the best that any sampling can give."""


@dataclass(frozen=True)
class Mode:
    """A way of restoring a video.

    Attributes:
        temporal: how frames depend on the frames before.
        color: colors of the pasted face: of the degraded frame (as `refldm restore` does by default), of the steadied
            crops, or the restorer's own.
        new_noise: whether each frame has noise of its own.
    """

    temporal: TemporalSettings = FRAME_BY_FRAME
    color: Literal["frame", "steadied", "restorer"] = "steadied"
    new_noise: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the mode as a JSON file gives it back."""
        return asdict(self)


MODES: dict[str, Mode] = {
    "new noise": Mode(color="frame", new_noise=True),
    "fixed noise": Mode(color="frame"),
    "fixed noise, restorer's colors": Mode(color="restorer"),
    "previous latent": Mode(TemporalSettings(strength=0.5), "restorer"),
    "steadied": Mode(TemporalSettings(steadying=0.8), "restorer"),
    "smoothed": Mode(TemporalSettings(smoothing=0.8), "restorer"),
    "steadied + smoothed": Mode(TemporalSettings(steadying=0.8, smoothing=0.8), "restorer"),
}
