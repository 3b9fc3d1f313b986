"""Who is in the demo: an album of each drawn person, and a group photo of all, as it was and as it is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..data.degradation import RANGES, Degradation, degrade, draw
from ..data.synthetic import SyntheticPerson, conditions, group, person, render
from ..face.alignment import crop_transform
from ..face.types import Landmarks5

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""

NAMES = ("Anna", "Ben", "Cem", "Dora")

_FIRST_PERSON = 900_000
"""Seed far from those of the people that the embedded models were trained on."""
_BLURRED = Degradation(blur_sigma=8.0, downscale=6.0, noise_sigma=0.0, jpeg_quality=90)
_PHOTO = 320
_GROUP = (768, 320)
_PORTRAIT = 512
_GOOD = 4
_PORTRAITS = 3


@dataclass(frozen=True, eq=False)
class Story:
    """The demo's pictures.

    Attributes:
        albums: whole photos of each person, by name and then by file name. The first album has more of them, among
            which a blurred one, one of somebody else, and a copy.
        truth: the group photo, sharp.
        lq: the same, so degraded that nobody's details are left.
        landmarks: (people, 5, 2) in the group photo, in the order of the albums.
    """

    albums: Mapping[str, Mapping[str, Picture]]
    truth: Picture
    lq: Picture
    landmarks: NDArray[np.float64]


def draw_story(seed: int) -> Story:
    """Draw everything.

    Args:
        seed: of the people, their photos and the damage; at least 0.

    Raises:
        SettingsError: a negative seed.
    """
    people = dict(zip(NAMES, _people(seed), strict=True))
    albums = {name: _album(name, who, _seed(seed, i)) for i, (name, who) in enumerate(people.items())}
    albums[NAMES[0]] |= _unusable(albums[NAMES[0]], _seed(seed, len(NAMES)))
    scene = group(list(people.values()), _seed(seed, 100), *_GROUP)
    size = (scene.picture.shape[0], scene.picture.shape[1])
    # The group is far wider than a face: the damage is that of the faces' crops in the published test set.
    crop = float(np.mean([1.0 / crop_transform(Landmarks5(points), size, 1).scale for points in scene.landmarks]))
    lq = degrade(scene.picture, draw(RANGES["severe"], seed), crop=crop)
    return Story(albums, scene.picture, lq, scene.landmarks)


def workflow_inputs(story: Story, seed: int) -> dict[str, Picture]:
    """Pictures under the file names that the shipped ComfyUI workflows ask for.

    Args:
        story: of the same seed.
        seed: see `draw_story`.
    """
    first = _people(seed)[0]
    face, *references = (
        render(first, conditions(_seed(seed, 200 + i)), _PORTRAIT).picture for i in range(_PORTRAITS + 1)
    )
    whole = group([first], _seed(seed, 300), _PHOTO, _PHOTO).picture
    damage = draw(RANGES["severe"], _seed(seed, 400))
    pictures = {"face.png": degrade(face, damage), "photo.png": degrade(whole, damage), "group.png": story.lq}
    pictures |= {f"reference_{i}.png": picture for i, picture in enumerate(references, 1)}
    return pictures | {name: picture for album in story.albums.values() for name, picture in list(album.items())[:2]}


def _people(seed: int) -> list[SyntheticPerson]:
    return [person(_FIRST_PERSON + _seed(seed, 1000 + i) % 100_000) for i in range(len(NAMES))]


def _album(name: str, who: SyntheticPerson, seed: int) -> dict[str, Picture]:
    drawn = (group([who], _seed(seed, i), _PHOTO, _PHOTO).picture for i in range(_GOOD))
    return {f"{name.lower()}_{i}.png": picture for i, picture in enumerate(drawn, 1)}


def _unusable(album: Mapping[str, Picture], seed: int) -> dict[str, Picture]:
    """What lies in real albums too; the selection has to leave it out."""
    first, second = list(album.values())[:2]
    stranger = person(_FIRST_PERSON + 100_000 + seed % 100_000)
    side = _PHOTO * 3 // 4
    small = Image.fromarray(first).resize((side, side), Image.Resampling.LANCZOS)
    return {
        "blurred.png": degrade(second, _BLURRED),
        "somebody.png": group([stranger], seed, _PHOTO, _PHOTO).picture,
        "copy.png": np.asarray(small),
    }


def _seed(*numbers: int) -> int:
    """31 bits that depend on all numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint32)[0]) >> 1
