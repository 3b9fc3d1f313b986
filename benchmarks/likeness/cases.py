"""The rendered people of the likeness benchmark, in a folder: what is there is not rendered again.

The folder is a dataset of `refldm synthesize`. Its subfolder `regions` says where to measure the attributes of
each true portrait.
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
"""Seed of the first person; training ends far below."""
REFERENCES = 3

_MASKS = ("left_iris", "right_iris", "frame", "beside_frame", "beard", "cheeks")
"""Bits of a file of regions."""


@dataclass(frozen=True, eq=False)
class Case:
    """One person to restore.

    Attributes:
        person: seed of the person, of the degradation and of the sampling noise.
        truth: picture 0 of the person.
        lq: the truth, severely degraded; (size, size, 3) uint8.
        own: pictures 1 to 3 of the person.
        wrong: the same of the next person.
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
        folder: of the pictures.
        first: seed of the first person.
        people: how many to restore; the references of one more are the last one's wrong references.
        size: pixels along each side.
    """

    folder: Path
    first: int
    people: int
    size: int

    @property
    def _spec(self) -> DatasetSpec:
        return DatasetSpec(self.people + 1, REFERENCES + 1, self.size, self.first)

    @property
    def pictures(self) -> int:
        """How many pictures belong to the cases."""
        return self._spec.people * self._spec.pictures

    def render(self, workers: int | None = None) -> Iterator[int]:
        """Render what is not there yet.

        Yields:
            After each person, how many pictures were rendered.

        Raises:
            SettingsError: the folder holds pictures of another size or another version of the renderer.
            OutputError: a file cannot be written.
        """
        yield from render_dataset(self.folder, self._spec, os.cpu_count() or 1 if workers is None else workers)
        for who in range(self.first, self.first + self.people):
            if not self._regions(who).exists():
                _write_regions(self._regions(who), who, self.size)

    def case(self, who: int) -> Case:
        """The person with seed `who`, rendered before.

        Raises:
            ImageFileError: a picture is missing or damaged.
            SettingsError: a file of regions is none.
        """
        name = self._name(who, 0)
        record = require_record(name)
        picture = _picture(name)
        masks = _read_regions(self._regions(who), self.size)
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
            [_picture(self._name(seed, which)) for which in range(1, REFERENCES + 1)] for seed in (who, who + 1)
        )
        return Case(who, truth, degrade(picture, draw(RANGES["severe"], who)), own, wrong)

    def _name(self, who: int, which: int) -> Path:
        return RenderedDataset(self.folder).images / self._spec.names(who)[which]

    def _regions(self, who: int) -> Path:
        return self.folder / "regions" / self._name(who, 0).name


def render_with_progress(cases: Cases) -> None:
    """Render what is not there yet; errors as `Cases.render`."""
    with tqdm(total=cases.pictures, desc="pictures", disable=None) as bar:
        for count in cases.render():
            bar.update(count)


def hash_of(case: Case) -> str:
    """Of all its pictures: tells whether two runs saw the same people."""
    digest = hashlib.sha256()
    for picture in (case.truth.picture, case.lq, *case.own, *case.wrong):
        digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()[:16]


def _picture(path: Path) -> Picture:
    return np.asarray(load_image(path))


def _write_regions(path: Path, who: int, size: int) -> None:
    somebody, shown = person(who), conditions(picture_seed(who, 0))
    truth = Truth.of(portrait(somebody, shown, size), regions(somebody, shown, size))
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
            remedy="remove the file, so that it is written again",
        )
    return {name: (bits >> bit) & 1 == 1 for bit, name in enumerate(_MASKS)}
