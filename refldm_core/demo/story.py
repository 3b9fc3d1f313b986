"""The input of the demo: the albums of six people, and a group photo of them, sharp and degraded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data.degradation import RANGES, Degradation, degrade, draw
from ..errors import SettingsError
from ..face.alignment import mean_crop
from ..samples import Picture, albums, groups

_BLURRED = Degradation(blur_sigma=12.0, downscale=12.0, noise_sigma=0.0, jpeg_quality=90)


@dataclass(frozen=True, eq=False)
class Story:
    """The demo's pictures.

    Attributes:
        albums: photos of each person, by name and then by file name. The first album also has a blurred photo, a photo
            of somebody else and a copy.
        truth: the sharp group photo.
        lq: the same photo, degraded until no person's details are left.
        landmarks: (people, 5, 2) in the group photo, in the order of the albums.
    """

    albums: Mapping[str, Mapping[str, Picture]]
    truth: Picture
    lq: Picture
    landmarks: NDArray[np.float64]


def make_story(seed: int) -> Story:
    """Choose one of the shipped group photos and degrade it.

    Args:
        seed: at least 0. It chooses the group photo (the first for even seeds, the second for odd ones), the
            degradation, and the person whose photo is in the wrong album.

    Raises:
        SettingsError: the seed is negative.
        ImageFileError: a shipped photo is missing or damaged.
    """
    if seed < 0:
        raise SettingsError(
            f"The seed {seed} is negative.", expected="0 or a larger whole number", remedy="choose another seed"
        )
    photos = groups()
    group = photos[seed % len(photos)]
    strangers = photos[(seed + 1) % len(photos)].people
    pictures = {
        name: {sample.file: sample.picture() for sample in album}
        for name, album in albums().items()
        if name in group.people
    }
    first = next(iter(pictures))
    stranger = albums()[strangers[seed // len(photos) % len(strangers)]][0].picture()
    pictures[first] |= _unusable(list(pictures[first].values()), stranger)
    truth = group.picture()
    landmarks = np.stack([group.landmarks[group.people.index(name)] for name in pictures])
    # A group photo is much wider than a face. Its faces are degraded like the aligned crops of the published test set.
    crop = mean_crop((truth.shape[0], truth.shape[1]), landmarks)
    lq = degrade(truth, draw(RANGES["severe"], seed), crop=crop)
    return Story(pictures, truth, lq, landmarks)


def _unusable(album: list[Picture], stranger: Picture) -> dict[str, Picture]:
    """Return photos that real albums contain too, and that the selection must leave out."""
    first, second = (Image.fromarray(picture) for picture in album[:2])
    smaller = first.resize((first.width * 3 // 4, first.height * 3 // 4), Image.Resampling.LANCZOS)
    return {
        "blurred.png": degrade(np.array(second), _BLURRED),
        "somebody.png": stranger,
        "copy.png": np.array(smaller),
    }
