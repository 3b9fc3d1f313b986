"""Photos of twelve people who do not exist: an album of each, and two group photos in which all of them appear.

`refldm_core/synthetic` rendered them (README.md in this folder says how), so that the demo, the tests and the ComfyUI
workflows need no rendering.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageFileError
from ..images import load_image

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""

FOLDER = Path(__file__).parent
INDEX = FOLDER / "index.json"
"""Who the people are, and where their faces are in the photos."""
CLIP = FOLDER / "clip.mp4"
"""A degraded video of the first person, for the video workflow."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One of the photos.

    Attributes:
        file: its name in `FOLDER`.
        people: names of the people in it.
        landmarks: (people, 5, 2) float64 pixels, as `face.types.Landmarks5`, in the order of `people`.
    """

    file: str
    people: tuple[str, ...]
    landmarks: NDArray[np.float64]

    @property
    def path(self) -> Path:
        return FOLDER / self.file

    def picture(self) -> Picture:
        """Read the photo.

        Raises:
            ImageFileError: the file is missing or damaged.
        """
        return np.array(load_image(self.path))


def names() -> tuple[str, ...]:
    """The people, in alphabetical order."""
    return tuple(_index()["people"])


def seed_of(name: str) -> int:
    """The seed that `synthetic.person` makes this person from."""
    return int(_index()["people"][name]["seed"])


def albums() -> Mapping[str, tuple[Sample, ...]]:
    """Four photos of each person, by name. Nobody else is in them."""
    photos = [sample for sample in _samples() if len(sample.people) == 1]
    return {name: tuple(photo for photo in photos if photo.people == (name,)) for name in names()}


def groups() -> tuple[Sample, ...]:
    """Two photos of six people each, from left to right; nobody is in both."""
    return tuple(sample for sample in _samples() if len(sample.people) > 1)


@lru_cache(maxsize=1)
def _samples() -> tuple[Sample, ...]:
    return tuple(
        Sample(photo["file"], tuple(photo["people"]), np.array(photo["landmarks"], np.float64))
        for photo in _index()["photos"]
    )


@lru_cache(maxsize=1)
def _index() -> dict[str, Any]:
    try:
        return json.loads(INDEX.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImageFileError(
            f"The sample photos' index {INDEX} cannot be read ({error}).",
            expected="the files that come with this package",
            remedy="install the package or clone the repository again",
        ) from error
