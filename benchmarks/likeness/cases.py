"""The rendered people of the likeness benchmark. They are rendered into a folder once.

The folder is a dataset of `refldm synthesize`. Its subfolder `regions` holds the regions of each true portrait in which
attributes are measured.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from refldm_core.data.attributes import Truth
from refldm_core.data.corpus import Picture
from refldm_core.data.degradation import RANGES, degrade, draw
from refldm_core.data.rendered import RenderedDataset, render_dataset
from refldm_core.errors import SettingsError
from refldm_core.images import load_image, save_image
from refldm_core.synthetic import conditions, person, portrait
from refldm_core.synthetic.dataset import DatasetSpec, picture_seed
from refldm_core.synthetic.records import require_record
from refldm_core.synthetic.regions import Regions, regions

FIRST_PERSON = 900_000
"""Seed of the first person. The seeds of training are far below."""
REFERENCES = 3

_MASKS = ("left_iris", "right_iris", "frame", "beside_frame", "beard", "cheeks")
"""Masks in a file of regions, one for each bit of its pixels, from the lowest bit."""


@dataclass(frozen=True, eq=False)
class Case:
    """One person to restore.

    Attributes:
        person: seed of the person, of the degradation and of the sampling noise.
        truth: picture 0 of the person.
        lq: the truth, severely degraded; (size, size, 3) uint8.
        own: further pictures of the person, from picture 1.
        wrong: as many pictures of the next person.
    """

    person: int
    truth: Truth
    lq: Picture
    own: Sequence[Picture]
    wrong: Sequence[Picture]


@dataclass(frozen=True)
class Cases:
    """Rendered people with consecutive seeds.

    Attributes:
        folder: folder of the pictures.
        first: seed of the first person.
        people: number of people to restore. One more is rendered, whose references are the last person's wrong ones.
        size: pixels along each side.
        references: number of pictures of each person besides the true portrait.
    """

    folder: Path
    first: int
    people: int
    size: int
    references: int = REFERENCES

    @property
    def _spec(self) -> DatasetSpec:
        return DatasetSpec(self.people + 1, self.references + 1, self.size, self.first)

    @property
    def pictures(self) -> int:
        """Number of pictures to render."""
        return self._spec.people * self._spec.pictures

    def render(self, workers: int | None = None) -> Iterator[int]:
        """Render the missing pictures and regions.

        Yields:
            The number of pictures that were rendered, after each person.

        Raises:
            SettingsError: the folder holds pictures of another size or of another version of the renderer.
            OutputError: a file cannot be written.
        """
        yield from render_dataset(self.folder, self._spec, os.cpu_count() or 1 if workers is None else workers)
        for seed in range(self.first, self.first + self.people):
            if not self._regions_path(seed).exists():
                _write_regions(self._regions_path(seed), seed, self.size)

    def case(self, seed: int) -> Case:
        """Read the pictures of the person with this seed, which must be rendered already.

        Raises:
            ImageFileError: a picture is missing or damaged.
            SettingsError: a file does not hold regions of this size.
        """
        path = self._picture_path(seed, 0)
        record = require_record(path)
        picture = _read_picture(path)
        masks = _read_regions(self._regions_path(seed), self.size)
        truth = Truth(
            picture,
            masks["left_iris"],
            masks["right_iris"],
            np.reshape(np.asarray(record["moles"], dtype=np.float64), (-1, 3)),
            bool(record["glasses"]),
            record["beard"] is not None,
            Regions(**{part: masks[part] for part in _MASKS[2:]}),
        )
        own, wrong = (
            [_read_picture(self._picture_path(owner, number)) for number in range(1, self.references + 1)]
            for owner in (seed, seed + 1)
        )
        return Case(seed, truth, degrade(picture, draw(RANGES["severe"], seed)), own, wrong)

    def _picture_path(self, seed: int, number: int) -> Path:
        return RenderedDataset(self.folder).images / self._spec.names(seed)[number]

    def _regions_path(self, seed: int) -> Path:
        return self.folder / "regions" / self._picture_path(seed, 0).name


def render_with_progress(cases: Cases) -> None:
    """Render the missing pictures, and show a progress bar. Errors as `Cases.render`."""
    with tqdm(total=cases.pictures, desc="pictures", disable=None) as bar:
        for count in cases.render():
            bar.update(count)


def hash_of(case: Case) -> str:
    """Return a hash of all pictures of a case. It tells whether two runs had the same people."""
    digest = hashlib.sha256()
    for picture in (case.truth.picture, case.lq, *case.own, *case.wrong):
        digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()[:16]


def _read_picture(path: Path) -> Picture:
    return np.asarray(load_image(path))


def _write_regions(path: Path, seed: int, size: int) -> None:
    subject, circumstances = person(seed), conditions(picture_seed(seed, 0))
    truth = Truth.of(portrait(subject, circumstances, size), regions(subject, circumstances, size))
    parts = vars(truth) | vars(truth.regions)
    bits = sum(parts[name].astype(np.uint8) << bit for bit, name in enumerate(_MASKS))
    path.parent.mkdir(exist_ok=True)
    save_image(Image.fromarray(np.asarray(bits, dtype=np.uint8)), path)


def _read_regions(path: Path, size: int) -> dict[str, NDArray[np.bool_]]:
    with Image.open(path) as image:
        bits = np.asarray(image)
    if bits.shape != (size, size):
        raise SettingsError(
            f"{path} has the shape {bits.shape}.",
            expected=f"the regions of a portrait of {size} pixels",
            remedy="remove the file; the benchmark then writes it again",
        )
    return {name: (bits >> bit) & 1 == 1 for bit, name in enumerate(_MASKS)}
