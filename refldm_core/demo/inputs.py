"""Make the input files of the shipped ComfyUI workflows from the sample photos."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from ..data.degradation import RANGES, degrade, draw
from ..face.alignment import FFHQ_SIZE, align, crop_transform
from ..face.types import Landmarks5
from ..files import atomic_write
from ..images import round_to_u8, save_image, u8_to_tensor
from ..samples import CLIP, Picture, Sample, albums
from .story import make_story

VIDEO = "video.mp4"
_DEGRADATION_SEED = 1
"""Seed of the degradation of the portrait and of the photo of one person."""


def workflow_pictures() -> dict[str, Picture]:
    """Return the pictures under the file names that the workflows use: portraits as aligned crops, others as photos.

    Raises:
        ImageFileError: a shipped photo is missing or damaged.
    """
    all_albums = albums()
    *references, degraded = next(iter(all_albums.values()))
    degradation = draw(RANGES["severe"], _DEGRADATION_SEED)
    photo = degraded.picture()
    pictures = {f"reference_{i}.png": _portrait(sample) for i, sample in enumerate(references, 1)}
    pictures["face.png"] = degrade(_portrait(degraded), degradation)
    pictures["photo.png"] = degrade(photo, degradation, crop=1.0 / _crop_scale(degraded, photo))
    pictures["group.png"] = make_story(0).lq
    for album in all_albums.values():
        pictures |= {f"{Path(sample.file).stem}.png": sample.picture() for sample in album[:2]}
    return pictures


def write_workflow_inputs(folder: Path, *, replace: bool = True) -> tuple[list[Path], list[Path]]:
    """Write `workflow_pictures` and the video into a folder.

    Args:
        folder: a folder, such as ComfyUI's folder `input`.
        replace: whether to write existing files again.

    Returns:
        The files that were written, and the existing files that were left as they are.

    Raises:
        OutputError: a file cannot be written.
        ImageFileError: a shipped photo is missing or damaged.
    """
    writers: dict[str, Callable[[Path], object]] = {
        name: partial(save_image, Image.fromarray(picture)) for name, picture in workflow_pictures().items()
    }
    writers[VIDEO] = _copy_clip
    written: list[Path] = []
    existing: list[Path] = []
    for name, write in writers.items():
        path = folder / name
        if path.exists() and not replace:
            existing.append(path)
        else:
            write(path)
            written.append(path)
    return written, existing


def _copy_clip(path: Path) -> None:
    with atomic_write(path) as temporary:
        shutil.copyfile(CLIP, temporary)


def _portrait(sample: Sample) -> Picture:
    """Return the aligned crop of the only face."""
    picture = sample.picture()
    image = u8_to_tensor(torch.tensor(picture).movedim(-1, 0))
    transform = crop_transform(Landmarks5(sample.landmarks[0]), (picture.shape[0], picture.shape[1]), FFHQ_SIZE)
    return round_to_u8(align(image, transform)).movedim(0, -1).contiguous().numpy()


def _crop_scale(sample: Sample, picture: Picture) -> float:
    """Return the scale from pixels of the photo to an aligned crop that is one pixel large."""
    return crop_transform(Landmarks5(sample.landmarks[0]), (picture.shape[0], picture.shape[1]), 1).scale
