"""Photos for the tests of the builder: sample photos, and flat pictures for a recognizer that tells people by color."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from refldm_core.data.photo_reading import PhotoReader, ReadingSettings
from refldm_core.face.identity import Embeddings, normalize
from refldm_core.samples import albums, groups

PEOPLE = ("Anna", "Ben", "Cem", "Dora", "Emil", "Fay")
"""People who are more than 0.55 apart for the embedded recognizer."""

ALONE = "Jan"
"""Another person, who has only one photo."""

STEP = 20
"""Difference in color between two people, and between two pictures of a person."""

_SHRINK = 3


def photo_of(name: str, which: int) -> NDArray[np.uint8]:
    """Return photo number `which` (from 0) of a person's album, shrunk."""
    return _small(albums()[name][which].picture())


def photo_of_two() -> NDArray[np.uint8]:
    """Return Ben and Cem, side by side in the back row of a group photo."""
    return groups()[0].picture()[90:330, 430:1055]


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.array(Image.fromarray(picture).reduce(_SHRINK))


def flat(who: int, which: int) -> Image.Image:
    """Return a picture of one color, which encodes the person `who` and the number `which` of the picture."""
    return Image.new("RGB", (16, 16), (STEP * who, STEP * which, 128))


class ByColor:
    """Embeds flat pictures. Those of one person are 0.1 to 0.4 apart, those of different people 0.9 or more.

    Args:
        stop_at: number of pictures after which it raises KeyboardInterrupt; None for no limit.

    Attributes:
        seen: (who, which) of every embedded picture, in order.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        self.seen: list[tuple[int, int]] = []
        self.stop_at = stop_at

    def embed(self, crops: Tensor) -> Embeddings:
        return np.concatenate([self._embed_crop(crop) for crop in crops])

    def _embed_crop(self, crop: Tensor) -> Embeddings:
        if len(self.seen) == self.stop_at:
            raise KeyboardInterrupt
        colors = ((crop.mean(dim=(1, 2)) + 1.0) * 127.5 / STEP).round().int().tolist()
        who, which = colors[0], colors[1]
        self.seen.append((who, which))
        vector = np.zeros((1, 40))
        vector[0, who] = 1.0
        vector[0, 20 + which] = 0.35 + 0.03 * which
        return normalize(vector)


def color_reader(recognizer: ByColor, **settings: object) -> PhotoReader:
    reading_settings = ReadingSettings(aligned=True, crop_size=16, **settings)  # type: ignore[arg-type]
    return PhotoReader(recognizer, None, reading_settings, ("", "by color"))


def write_flat(folder: Path, people: int = 6, per_person: int = 4) -> dict[str, Path]:
    """Write the flat photos 0_0.png, 0_1.png and so on: `per_person` photos for each of `people` people."""
    folder.mkdir(parents=True, exist_ok=True)
    for who in range(people):
        for which in range(per_person):
            flat(who, which).save(folder / f"{who}_{which}.png")
    return photos_in(folder)


def photos_in(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
