"""Averaging of the aligned crops of a face through the frames of a video, one frame after the other.

The average is exponential: the past counts with a weight. It gives way where the face moves: the weight falls with the
difference of the crops there, measured against the median difference in the face, which is noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .types import Face

CUT = 20.0
"""Gray levels of 255. Where the mean difference of two crops is above it, the scene has been cut."""
COLOR_WEIGHT = 0.8
"""Weight of the past in the crops that give a restored face its coarse colors."""
_LEVELS = 127.5
"""Gray levels of 255 in a difference of 1 between values in [-1, 1]."""
_CUT_GRID = 8
"""Pixels along each side of the small crops whose difference shows a cut."""
_LEAST_NOISE = 1.0
"""Gray levels. Smaller differences never count as motion."""
_MOTION = 3.0
"""Differences of this many times the noise lower the weight of the past to exp(-1) of it."""


def coarse(crops: Tensor) -> Tensor:
    """Return small copies of crops (faces, 3, size, size) in [-1, 1] for `is_cut`: (faces, 3, 8, 8) in gray levels."""
    return F.adaptive_avg_pool2d(crops.float(), _CUT_GRID) * _LEVELS


def is_cut(before: Tensor, after: Tensor, cut: float) -> bool:
    """Whether the mean difference of two small copies (see `coarse`) is above `cut`, in gray levels of 255."""
    return float((after - before).abs().mean()) > cut


def average_with_past(crop: Tensor, past: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Average a crop with the average of the frames before.

    Args:
        crop: (3, size, size) float32 in [-1, 1].
        past: the average of the frames before, like `crop`.
        weight: weight of the past where the face is at rest, 0..1.

    Returns:
        The average, and how much each place is at rest: (1, size / 8, size / 8) in 0..1. It is 1 where nothing but
        noise differs from the past.
    """
    stillness = _stillness(crop, past)
    share = F.interpolate(stillness.unsqueeze(0) * weight, crop.shape[-2:], mode="bilinear", align_corners=False)[0]
    return share * past + (1.0 - share) * crop, stillness


def _stillness(crop: Tensor, past: Tensor) -> Tensor:
    """Return how much each place of (3, height, width) is at rest: (1, height / 8, width / 8) in 0..1."""
    difference = F.avg_pool2d((crop - past).unsqueeze(0) * _LEVELS, 8)
    difference = (
        F.avg_pool2d(difference, 3, stride=1, padding=1, count_include_pad=False)[0].abs().mean(0, keepdim=True)
    )
    noise = difference.median().clamp(min=_LEAST_NOISE)
    return torch.exp(-((difference / (_MOTION * noise)) ** 2))


@dataclass(frozen=True, eq=False)
class _Past:
    """The last face of a track: its frame, the average up to it, and the small copy of its own crop."""

    frame: int
    average: Tensor
    small: Tensor


class Steadying:
    """Averages the crops of tracked faces while the frames of a video pass by.

    A track begins afresh after a gap of frames, and at a cut. Only the faces of the last two frames are in memory. The
    averages equal those of `temporal.steady_crops`, which takes all crops at once (tests/video/test_search.py).

    Args:
        weight: weight of the past where the face is at rest, 0..1.
        cut: see `CUT`.
    """

    def __init__(self, weight: float, cut: float = CUT) -> None:
        self.weight = weight
        self.cut = cut
        self._past: dict[int, _Past] = {}

    def add(self, crop: Tensor, face: Face) -> Tensor:
        """Return the average of a crop (3, size, size) in [-1, 1] with the crops of its track before it.

        The faces must come by frame. A face without a track is not averaged.
        """
        crop = crop.float()
        if face.track is None:
            return crop
        small = coarse(crop.unsqueeze(0))[0]
        self._past = {track: past for track, past in self._past.items() if past.frame >= face.frame - 1}
        past = self._past.get(face.track)
        average = crop
        if past is not None and past.frame == face.frame - 1 and not is_cut(past.small, small, self.cut):
            average = average_with_past(crop, past.average, self.weight)[0]
        self._past[face.track] = _Past(face.frame, average, small)
        return average

    def state(self) -> dict[str, Tensor]:
        """Return what the next frames depend on. A later `add` does not change the tensors."""
        tensors: dict[str, Tensor] = {}
        for track, past in self._past.items():
            tensors |= {f"{track}.{past.frame}.average": past.average, f"{track}.{past.frame}.small": past.small}
        return tensors

    def restore_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from the result of `state`."""
        self._past = {}
        for name, average in tensors.items():
            track, frame, part = name.split(".")
            if part == "average":
                self._past[int(track)] = _Past(int(frame), average, tensors[f"{track}.{frame}.small"])
