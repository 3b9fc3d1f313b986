"""Files that the shipped ComfyUI workflows ask for, made from the sample photos."""

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
_DAMAGE = 1
"""Seed of the damage to the portrait and to the photo of one person."""


def workflow_pictures() -> dict[str, Picture]:
    """Pictures under the file names that the workflows ask for: portraits as aligned crops, the others as photos.

    Raises:
        ImageFileError: a shipped photo is missing or damaged.
    """
    everybody = albums()
    *references, degraded = next(iter(everybody.values()))
    damage = draw(RANGES["severe"], _DAMAGE)
    whole = degraded.picture()
    pictures = {f"reference_{i}.png": _portrait(sample) for i, sample in enumerate(references, 1)}
    pictures["face.png"] = degrade(_portrait(degraded), damage)
    pictures["photo.png"] = degrade(whole, damage, crop=1.0 / _crop_scale(degraded, whole))
    pictures["group.png"] = make_story(0).lq
    for album in everybody.values():
        pictures |= {f"{Path(sample.file).stem}.png": sample.picture() for sample in album[:2]}
    return pictures


def write_workflow_inputs(folder: Path, *, replace: bool = True) -> tuple[list[Path], list[Path]]:
    """Write `workflow_pictures` and the video into a folder.

    Args:
        folder: such as ComfyUI's folder `input`.
        replace: whether files that are there already are written again.

    Returns:
        The files that were written, and those that were there and stayed.

    Raises:
        OutputError: a file cannot be written.
        ImageFileError: a shipped photo is missing or damaged.
    """
    writers: dict[str, Callable[[Path], object]] = {
        name: partial(save_image, Image.fromarray(picture)) for name, picture in workflow_pictures().items()
    }
    writers[VIDEO] = _copy_clip
    written: list[Path] = []
    there: list[Path] = []
    for name, write in writers.items():
        path = folder / name
        if path.exists() and not replace:
            there.append(path)
        else:
            write(path)
            written.append(path)
    return written, there


def _copy_clip(path: Path) -> None:
    with atomic_write(path) as temporary:
        shutil.copyfile(CLIP, temporary)


def _portrait(sample: Sample) -> Picture:
    """The aligned crop of the only face."""
    picture = sample.picture()
    image = u8_to_tensor(torch.tensor(picture).movedim(-1, 0))
    transform = crop_transform(Landmarks5(sample.landmarks[0]), (picture.shape[0], picture.shape[1]), FFHQ_SIZE)
    return round_to_u8(align(image, transform)).movedim(0, -1).contiguous().numpy()


def _crop_scale(sample: Sample, picture: Picture) -> float:
    """Size of an aligned crop of one pixel in pixels of the photo."""
    return crop_transform(Landmarks5(sample.landmarks[0]), (picture.shape[0], picture.shape[1]), 1).scale
