"""The second pass over a video: align, restore and paste the faces frame by frame, and encode the result in segments.

A face is averaged with its past before it is restored (`face.steadying`). The averages run on from segment to segment,
and are kept with each finished one. So no seam is seen, and a continued restoration gives the same video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from ..errors import SettingsError
from ..face.alignment import align, crop_transform
from ..face.color import with_coarse_colors
from ..face.paste import PasteSettings, paste_faces
from ..face.steadying import COLOR_WEIGHT, Steadying
from ..face.types import Face, Faces
from ..images import round_to_u8, u8_to_tensor
from .background import read_ahead, worker
from .colors import Picture
from .reading import Frame
from .segments import SEGMENT, SegmentFiles

RestoreCrops = Callable[[Tensor, Sequence[Face]], Tensor]
"""Crops (faces, 3, size, size) in [-1, 1] and their faces, with `track` and `person` -> restored crops like them.

It is called in the thread that called `restore_segments`.
"""
MaskCrops = Callable[[Tensor], Tensor]
"""Crops (faces, 3, size, size) in [-1, 1] -> masks of the face and hair (faces, size, size) in [0, 1]."""


@dataclass(frozen=True)
class VideoSettings:
    """How faces are restored in a video.

    Attributes:
        steadying: weight of the past in the average of the degraded crops, 0..0.95. See `temporal.TemporalSettings`.
        landmark_averaging: standard deviation of the averages of landmarks, in frames.
        paste: settings of pasting. With steadying, the color match "wavelet" takes the colors of steadied crops, which
            flicker less than those of the frame (`temporal.with_steady_colors`).
        batch: number of faces that are restored together.

    Raises:
        SettingsError: a value is outside its range.
    """

    steadying: float = 0.5
    landmark_averaging: float = 2.0
    paste: PasteSettings = field(default_factory=PasteSettings)
    batch: int = 4

    def __post_init__(self) -> None:
        if not 0.0 <= self.steadying <= 0.95 or not 0.0 <= self.landmark_averaging <= 100.0 or self.batch < 1:
            raise SettingsError(
                f"A steadying of {self.steadying}, landmarks averaged over {self.landmark_averaging} frames and "
                f"{self.batch} faces at once have no meaning.",
                expected="a steadying of 0..0.95, 0..100 frames, and 1 face or more",
                remedy="leave the defaults: 0.5, 2 and 4",
            )

    @property
    def has_steady_colors(self) -> bool:
        """Whether the colors of the faces are those of steadied crops."""
        return self.steadying > 0.0 and self.paste.color == "wavelet"


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A frame with its aligned faces.

    Attributes:
        frame: the frame.
        faces: its faces with the transforms of their crops, as faces of a single picture.
        tracked: the same faces, with the number of the frame.
        crops: steadied crops (faces, 3, size, size) in [-1, 1].
        colors: crops that give the colors, like `crops`. None where pasting matches the colors.
        state: what the next frames depend on.
    """

    frame: Frame
    faces: Faces
    tracked: Sequence[Face]
    crops: Tensor
    colors: Tensor | None
    state: Mapping[str, Tensor]


class _Averages:
    """The averages of the crops that are restored, and of those that give the colors."""

    def __init__(self, settings: VideoSettings) -> None:
        self.crops = Steadying(settings.steadying)
        self.colors = Steadying(COLOR_WEIGHT)

    def state(self) -> dict[str, Tensor]:
        states = {"crops": self.crops.state(), "colors": self.colors.state()}
        return {f"{part}/{name}": tensor for part, state in states.items() for name, tensor in state.items()}

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        for part, average in (("crops", self.crops), ("colors", self.colors)):
            prefix = f"{part}/"
            average.restore_state({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})


def restore_segments(
    frames: Iterable[Frame],
    faces: Mapping[int, Sequence[Face]],
    segments: SegmentFiles,
    restore_crops: RestoreCrops,
    *,
    crop_size: int,
    settings: VideoSettings,
    mask_crops: MaskCrops | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Restore frames into segments. Decoding with aligning, restoring, and pasting with encoding overlap.

    Args:
        frames: frames from the first one of a segment.
        faces: number of a frame -> faces to restore in it.
        segments: receives the frames.
        restore_crops: restores crops.
        crop_size: side of the crops in pixels.
        settings: see `VideoSettings`.
        mask_crops: limits pasting to face and hair.
        on_frame: called after each frame was restored, in the caller's thread.
    """
    averages = _Averages(settings)
    averages.restore_state(segments.state)
    ahead = segments.frames_ahead
    prepared = _prepare(frames, faces, crop_size, settings, averages)
    with closing(read_ahead(prepared, ahead)) as aligned, segments.opened(), worker(2) as do:
        for batch in _batches(aligned, settings.batch, ahead):
            crops = torch.cat([item.crops for item in batch])
            people = [face for item in batch for face in item.tracked]
            starts = range(0, len(people), settings.batch)
            parts = [slice(start, start + settings.batch) for start in starts]
            restored = [restore_crops(crops[part], people[part]).cpu().float() for part in parts]
            masks = [mask_crops(crops[part]).cpu() for part in parts] if mask_crops else []
            do(
                partial(
                    _finish,
                    batch,
                    torch.cat(restored) if restored else crops,
                    torch.cat(masks) if masks else None,
                    settings.paste,
                    segments,
                )
            )
            for _ in batch:
                on_frame()


def _prepare(
    frames: Iterable[Frame],
    faces: Mapping[int, Sequence[Face]],
    crop_size: int,
    settings: VideoSettings,
    averages: _Averages,
) -> Iterator[_Prepared]:
    """Align the faces of each frame, and average them with their past."""
    for frame in frames:
        tracked = faces.get(frame.number, ())
        size = (frame.picture.shape[0], frame.picture.shape[1])
        transforms = tuple(crop_transform(face.landmarks, size, crop_size) for face in tracked)
        in_picture = Faces(tuple(replace(face, frame=0) for face in tracked), transforms, (size,))
        crops = torch.zeros(0, 3, crop_size, crop_size)
        colors = crops
        if tracked:
            image = _as_tensor(frame.picture)
            aligned = [align(image, transform) for transform in transforms]
            pairs = list(zip(aligned, tracked, strict=True))
            crops = torch.stack([averages.crops.add(crop, face) for crop, face in pairs])
            if settings.has_steady_colors:
                colors = torch.stack([averages.colors.add(crop, face) for crop, face in pairs])
        yield _Prepared(
            frame, in_picture, tracked, crops, colors if settings.has_steady_colors else None, averages.state()
        )


def _batches(frames: Iterable[_Prepared], faces: int, longest: int) -> Iterator[list[_Prepared]]:
    """Group frames until they have enough faces. A group ends with its segment, wherever the restoration began."""
    group: list[_Prepared] = []
    for item in frames:
        group.append(item)
        count = sum(len(item.tracked) for item in group)
        if count >= faces or len(group) >= longest or (item.frame.number + 1) % SEGMENT == 0:
            yield group
            group = []
    if group:
        yield group


def _finish(
    batch: Sequence[_Prepared], restored: Tensor, masks: Tensor | None, paste: PasteSettings, segments: SegmentFiles
) -> None:
    """Paste the restored crops of a batch into their frames, and encode these."""
    start = 0
    for item in batch:
        end = start + len(item.tracked)
        crop_masks = None if masks is None else list(masks[start:end])
        segments.write(item.frame, _pasted(item, restored[start:end], crop_masks, paste), item.state)
        start = end


def _pasted(item: _Prepared, restored: Tensor, masks: Sequence[Tensor] | None, paste: PasteSettings) -> Picture:
    """Return the frame with its restored faces."""
    if not item.tracked and paste.upscale == 1.0:
        return item.frame.picture
    if item.colors is not None and item.tracked:
        paste = replace(paste, color="none")
        pairs = zip(restored, item.colors, strict=True)
        restored = torch.stack([with_coarse_colors(crop, colors) for crop, colors in pairs])
    pasted = paste_faces([_as_tensor(item.frame.picture)], item.faces, restored, paste, crop_masks=masks)[0]
    return round_to_u8(pasted.image).movedim(0, -1).contiguous().numpy()


def _as_tensor(picture: Picture) -> Tensor:
    return u8_to_tensor(torch.as_tensor(picture).movedim(-1, 0))
