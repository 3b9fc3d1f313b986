"""Photos for tests of the builder: drawn people, and flat pictures that a stand-in recognizer tells apart by color."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from refldm_core.data.photo_reading import PhotoReader, ReadingSettings
from refldm_core.data.synthetic import group, person
from refldm_core.face.identity import Embeddings, normalize

FIRST = 910_000
PEOPLE = (0, 1, 7, 13, 18, 24)
"""Unseen by the embedded recognizer in training, and all more than 0.45 apart for it, which many drawn people are not:
docs/dataset.md has the curve."""

SIZE = 112
STEP = 20


def drawn(who: int, which: int) -> NDArray[np.uint8]:
    return group([person(FIRST + who)], 1000 * who + which, SIZE, SIZE).picture


def flat(who: int, which: int) -> Image.Image:
    """A picture of one color, which says who it is and which of theirs."""
    return Image.new("RGB", (16, 16), (STEP * who, STEP * which, 128))


class ByColor:
    """Embeds flat pictures: those of one person are 0.1 to 0.4 apart, all others 0.9 and more.

    Attributes:
        seen: (who, which) of every picture, in order.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        self.seen: list[tuple[int, int]] = []
        self.stop_at = stop_at

    def embed(self, crops: Tensor) -> Embeddings:
        return np.concatenate([self._one(crop) for crop in crops])

    def _one(self, crop: Tensor) -> Embeddings:
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
    chosen = ReadingSettings(aligned=True, crop_size=16, **settings)  # type: ignore[arg-type]
    return PhotoReader(recognizer, None, chosen, ("", "by color"))


def write_flat(folder: Path, people: int = 6, each: int = 4) -> dict[str, Path]:
    """Photos 0_0.png .. of `people` with `each`."""
    folder.mkdir(parents=True, exist_ok=True)
    for who in range(people):
        for which in range(each):
            flat(who, which).save(folder / f"{who}_{which}.png")
    return photos_in(folder)


def photos_in(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
