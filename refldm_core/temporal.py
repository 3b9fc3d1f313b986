"""Restoration of tracked faces through the frames of a video, so that they flicker less than frame by frame.

The crops of a track are aligned by landmarks. They and their latents are in coordinates of the face already, so a
latent of the previous frame fits without a further warp, except where the face turns or moves its parts.

Three means work alone or together, and the noise of a track is fixed (`face.tracking.face_seed`):

- Steadying averages the degraded crops along the track before they are restored. Noise and compression of the video
  are different in every frame, and the restorer would make different details of them.
- The start from the previous latent: a frame is sampled from the previous frame's restored latent, with noise of a
  middle level, instead of from the noisiest level. This also saves steps.
- Smoothing averages the restored latents along the track before they are decoded.

Averages are exponential, and give way where the face moves (`face.steadying`).

A track begins afresh after a gap of frames, and where the crop changes so much that the scene has been cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from .diffusion.settings import SamplingSettings
from .face.color import with_coarse_colors
from .face.steadying import COLOR_WEIGHT, CUT, average_with_past, coarse, is_cut
from .face.tracking import indices_of_tracks
from .face.types import Face
from .model.reference import ReferenceKV
from .pipeline import Restorer
from .progress import OnStep, ignore_steps
from .ranges import check_ranges, ranged_field


@dataclass(frozen=True)
class TemporalSettings:
    """How frames depend on the frames before them. All zeros restore each frame by itself.

    Attributes:
        steadying: weight of the past in the average of the degraded crops, 0..0.95, where the face is at rest.
        strength: part of the sampling that the start from the previous frame's latent replaces, 0..0.95.
        smoothing: weight of the past in the average of the restored latents, 0..0.95, where the face is at rest.
        cut: a track begins afresh where the mean difference of two crops is above this, in gray levels of 255.

    Raises:
        OutOfRangeError: a value is outside its range.
    """

    steadying: float = ranged_field(0.0, 0.0, 0.95)
    strength: float = ranged_field(0.0, 0.0, 0.95)
    smoothing: float = ranged_field(0.0, 0.0, 0.95)
    cut: float = ranged_field(CUT, 0.0, 255.0)

    def __post_init__(self) -> None:
        check_ranges(self)


FRAME_BY_FRAME = TemporalSettings()
STEADY = TemporalSettings(steadying=0.5)
"""The settings for videos that lose the least PSNR among those that `python -m benchmarks.video` measured as steady."""
_STEADY_COLORS = TemporalSettings(steadying=COLOR_WEIGHT)
"""How the crops are steadied that give the colors."""


def segments(crops: Tensor, faces: Sequence[Face], cut: float) -> list[list[int]]:
    """Return the parts of tracks within which frames follow each other without a gap or a cut.

    Args:
        crops: (faces, 3, size, size) in [-1, 1].
        faces: the faces that the crops show, with `frame` and `track`. A face without a track is a part of its own.
        cut: see `TemporalSettings`.

    Returns:
        Indices of the faces of each part, by frame. Every index is in one part.
    """
    parts = [[i] for i, face in enumerate(faces) if face.track is None]
    small = coarse(crops) if len(crops) else crops
    for indices in indices_of_tracks(faces):
        parts.append([indices[0]])
        for before, after in pairwise(indices):
            if faces[after].frame == faces[before].frame + 1 and not is_cut(small[before], small[after], cut):
                parts[-1].append(after)
            else:
                parts.append([after])
    return parts


def steady_crops(crops: Tensor, faces: Sequence[Face], temporal: TemporalSettings = STEADY) -> Tensor:
    """Return the degraded crops, each averaged with the crops of its track before it.

    Args:
        crops: (faces, 3, size, size) in [-1, 1], aligned.
        faces: the faces that the crops show, with `frame` and `track`. A crop without a track stays as it is.
        temporal: `steadying` and `cut` count here. A steadying of 0 changes nothing.

    Returns:
        (faces, 3, size, size) float32 in [-1, 1], a new tensor on the device of `crops`.
    """
    return _steadied(crops, segments(crops, faces, temporal.cut), temporal.steadying)[0]


def restore_tracks(
    restorer: Restorer,
    crops: Tensor,
    faces: Sequence[Face],
    references: Sequence[ReferenceKV | None],
    seeds: Sequence[int],
    *,
    settings: SamplingSettings | None = None,
    temporal: TemporalSettings = FRAME_BY_FRAME,
    batch: int = 8,
    on_step: OnStep = ignore_steps,
) -> Tensor:
    """Restore the crops of a video's faces.

    Args:
        restorer: restorer with the model.
        crops: (faces, 3, crop, crop) in [-1, 1], aligned.
        faces: the faces that the crops show, with `frame` and `track`.
        references: references of each face, or None.
        seeds: seed of each face's noise, the same for all faces of a track (`face.tracking.face_seed`).
        settings: how to sample. None is the published way.
        temporal: how frames depend on each other.
        batch: most crops to restore at once. With `strength`, only crops of different tracks, or of parts of a track
            beyond a gap or a cut, are restored together.
        on_step: called after each sampling step.

    Returns:
        (faces, 3, crop, crop) float32 in [-1, 1]. With all zeros in `temporal`, it equals `Restorer.restore` of the
        crops, and so does the first frame of each part without gap or cut in any case.

    Raises:
        NotFiniteError: see `Restorer.decode`.
    """
    settings = settings or SamplingSettings()
    if settings.strength == 0.0 or not len(crops):
        return crops.to(restorer.device).float().clamp(-1.0, 1.0)
    parts = segments(crops, faces, temporal.cut)
    starts = range(0, len(crops), batch)
    steadied, stillness = _steadied(crops.to(restorer.device), parts, temporal.steadying)
    lq_latents = torch.cat([restorer.encode(steadied[start : start + batch]) for start in starts])
    latents = torch.empty_like(lq_latents)
    for indices, previous in _waves(parts, batch, together=temporal.strength == 0.0):
        latents[indices] = restorer.sample(
            lq_latents[indices],
            [references[i] for i in indices],
            [seeds[i] for i in indices],
            settings if previous is None else shortened(settings, temporal.strength),
            on_step,
            start=None if previous is None else latents[previous],
        )
    if temporal.smoothing:
        latents = _average(latents, parts, stillness * temporal.smoothing)
    return torch.cat([restorer.decode(latents[start : start + batch]).clamp(-1.0, 1.0) for start in starts])


def with_steady_colors(restored: Sequence[Tensor] | Tensor, crops: Tensor, faces: Sequence[Face]) -> Tensor:
    """Return the restored crops with the coarse colors of the steadied degraded crops.

    Pasting matches colors to the frame by default, whose coarse noise would then flicker in the restored face. So paste
    these crops without a color match.

    Args:
        restored: the restored crops, (3, size, size) in [-1, 1] each.
        crops: (faces, 3, size, size) in [-1, 1], the degraded crops.
        faces: the faces that the crops show, with `frame` and `track`.

    Returns:
        (faces, 3, size, size) float32 in [-1, 1], on the device of `crops`.
    """
    colored = steady_crops(crops, faces, _STEADY_COLORS)
    for i, (crop, original) in enumerate(zip(restored, colored, strict=True)):
        # The colored crop takes the place of its colors, so that a long video is not in memory once more.
        colored[i] = with_coarse_colors(crop, original)
    return colored


def shortened(settings: SamplingSettings, strength: float) -> SamplingSettings:
    """Return the settings of a frame that starts from the previous latent: fewer steps, of the cleaner noise levels.

    Args:
        settings: settings of a frame by itself.
        strength: see `TemporalSettings`.
    """
    share = 1.0 - strength
    return replace(settings, steps=max(1, round(settings.steps * share)), strength=settings.strength * share)


def _waves(parts: Sequence[Sequence[int]], batch: int, *, together: bool) -> list[tuple[list[int], list[int] | None]]:
    """Return the indices to sample at once, and those of their previous frames, or None for frames by themselves."""
    waves: list[tuple[list[int], list[int] | None]] = []
    everything = [i for part in parts for i in part] if together else [part[0] for part in parts]
    waves += [(everything[start : start + batch], None) for start in range(0, len(everything), batch)]
    if together:
        return waves
    for k in range(1, max(len(part) for part in parts)):
        running = [part for part in parts if len(part) > k]
        for start in range(0, len(running), batch):
            group = running[start : start + batch]
            waves.append(([part[k] for part in group], [part[k - 1] for part in group]))
    return waves


def _steadied(crops: Tensor, parts: Sequence[Sequence[int]], weight: float) -> tuple[Tensor, Tensor]:
    """Return the averaged crops, and how much each place of a face is at rest.

    The places are (faces, 1, crop / 8, crop / 8) in 0..1: 0 in the first frame of a part, 1 where nothing but noise
    differs from the average of the frames before.
    """
    steadied = crops.float().clone()
    stillness = torch.zeros(len(crops), 1, crops.shape[-2] // 8, crops.shape[-1] // 8, device=crops.device)
    for part in parts:
        for before, i in pairwise(part):
            steadied[i], stillness[i] = average_with_past(steadied[i], steadied[before], weight)
    return steadied, stillness


def _average(latents: Tensor, parts: Sequence[Sequence[int]], shares: Tensor) -> Tensor:
    """Average latents (faces, c, h, w) along each part. `shares` (faces, 1, h', w') has the weight of the past."""
    averaged = latents.clone()
    shares = F.interpolate(shares, latents.shape[-2:], mode="bilinear", align_corners=False)
    for part in parts:
        for before, i in pairwise(part):
            averaged[i] = shares[i] * averaged[before] + (1.0 - shares[i]) * latents[i]
    return averaged
