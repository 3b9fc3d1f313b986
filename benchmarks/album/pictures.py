"""The album: ten photos made from the sample photos, and the reference photos of the people in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from refldm_core.samples import FOLDER, Sample, albums, groups

_GRAIN = 3.0
"""Standard deviation of the noise in levels of 255. Without it, enlarged pictures are far smoother than photos."""
_QUALITY = 92
PEOPLE = 2
"""People with references, which are their first three sample photos. Their last one is in the album."""


def write_album(folder: Path) -> None:
    """Write the ten photos as JPEG files: two of 12 megapixels, one of 2, and seven of 1.3."""
    portraits = [album[-1] for album in albums().values()]
    photos: Sequence[tuple[Sample, int, int]] = [
        (groups()[0], 4608, 2592),
        (portraits[0], 3072, 3840),
        (groups()[1], 1920, 1080),
        *((portrait, 1024, 1280) for portrait in portraits[1:8]),
    ]
    for number, (sample, width, height) in enumerate(photos, start=1):
        enlarged = Image.fromarray(sample.picture()).resize((width, height), Image.Resampling.BICUBIC)
        grain = np.random.default_rng(number).normal(0.0, _GRAIN, (height, width, 3))
        levels = np.clip(np.rint(np.asarray(enlarged) + grain), 0, 255).astype(np.uint8)
        Image.fromarray(levels).save(folder / f"{number:02}.jpg", quality=_QUALITY)


def people_options() -> list[str]:
    """Return the options of `refldm restore` that name the people."""
    options: list[str] = []
    for name in list(albums())[:PEOPLE]:
        options += ["--person", f"{name}={FOLDER / f'{name.lower()}_[123].webp'}"]
    return options
