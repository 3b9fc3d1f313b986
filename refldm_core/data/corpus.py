"""Pictures to train on and the references of each: rendered people, or a folder with a CSV in the published layout."""

from __future__ import annotations

import ast
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from ..errors import ReFLDMError, shorten
from ..face.template import template
from ..files import make_folder, require_regular
from ..hardware import usable_cores
from ..images import load_image
from ..paths import require_plain
from ..pictures.formats import pictures_in
from ..ranges import check_ranges, ranged_field
from ..synthetic.dataset import DatasetSpec, render_missing
from ..synthetic.records import read_record
from .graphs import connected_components

Picture = NDArray[np.uint8]
"""(size, size, 3) RGB."""


class DataError(ReFLDMError):
    """Training or evaluation data that cannot be used."""


@dataclass(frozen=True)
class CorpusSpec:
    """What to train on.

    Attributes:
        kind: "synthetic" for rendered people, who are rendered before training begins, or "folder" for a folder of
            aligned face crops.
        first_person, people, pictures: for "synthetic": seed of the first person, number of people, and number of
            pictures of each person.
        cache: for "synthetic": folder for the rendered pictures. A later run renders only what is missing there.
        folder: for "folder": folder of the pictures.
        references: for "folder": CSV in the published layout, with the columns gt_image (a file name in `folder`) and
            ref_image (a Python list of file names). "" where no references are needed; every picture of the folder is
            then a target.
        size: height and width of the pictures in pixels. Pictures of another size are resized.

    Raises:
        OutOfRangeError: a number is outside its range.
    """

    kind: Literal["synthetic", "folder"] = "synthetic"
    first_person: int = ranged_field(0, 0, 10**9)
    people: int = ranged_field(1000, 0, 10**9)
    pictures: int = ranged_field(6, 0, 10**6)
    cache: str = "runs/people"
    folder: str = ""
    references: str = ""
    size: int = ranged_field(512, 1, 8192)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class Target:
    """Indices of a picture to learn to restore, and of its references: other pictures of the same person."""

    picture: int
    references: tuple[int, ...]


class Corpus(Protocol):
    """Pictures by index, the targets among them, and their references."""

    targets: Sequence[Target]

    people: Sequence[Sequence[int]]
    """Indices of the pictures of each person."""

    def picture(self, index: int) -> Picture:
        """Return a picture."""
        ...

    def landmarks(self, index: int) -> NDArray[np.float64]:
        """Return (5, 2) landmarks in pixels: as rendered, or those of the template that the pictures are aligned to."""
        ...

    def sharing(self, references: Sequence[int]) -> Sequence[int]:
        """Return the indices of the targets that have all these references and are not among them."""
        ...


class _PictureFiles:
    """A corpus of picture files; see `Corpus`.

    Args:
        folder: folder of the pictures.
        rows: file name of each target, and those of its references.
        size: height and width of the pictures in pixels.
        source: the file that the rows come from, for the message about a missing picture; "" where there is none.

    Raises:
        DataError: a file is missing.
    """

    def __init__(self, folder: Path, rows: Sequence[tuple[str, tuple[str, ...]]], size: int, source: str) -> None:
        self.size = size
        names = sorted({name for target, references in rows for name in (target, *references)})
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            row = next(i for i, (target, refs) in enumerate(rows, 2) if missing[0] in (target, *refs))
            raise DataError(
                f"{len(missing)} pictures are not in {folder}. The first is {missing[0]}"
                + (f", line {row} of {source}." if source else "."),
                expected="every file that the CSV names",
                remedy="correct corpus.folder, or leave those rows out of the CSV",
            )
        index = {name: i for i, name in enumerate(names)}
        self._paths = [folder / name for name in names]
        self.targets: Sequence[Target] = [Target(index[t], tuple(index[r] for r in refs)) for t, refs in rows]
        links = np.array([[t.picture, linked] for t in self.targets for linked in (t.picture, *t.references)])
        members: dict[int, list[int]] = {}
        for picture, person in enumerate(connected_components(links, len(names)).tolist()):
            members.setdefault(person, []).append(picture)
        self.people: Sequence[Sequence[int]] = list(members.values())
        self._users: dict[int, set[int]] = {}
        for i, target in enumerate(self.targets):
            for reference in target.references:
                self._users.setdefault(reference, set()).add(i)

    def picture(self, index: int) -> Picture:
        size = (self.size, self.size)
        image = load_image(self._paths[index])
        return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BICUBIC))

    def landmarks(self, index: int) -> NDArray[np.float64]:
        """See `Corpus`."""
        record = read_record(self._paths[index])
        if record is None:
            return template(self.size)
        scale = self.size / record["size"]
        return (np.asarray(record["landmarks"], dtype=np.float64) + 0.5) * scale - 0.5

    def sharing(self, references: Sequence[int]) -> Sequence[int]:
        users = set[int].intersection(*(self._users[r] for r in references))
        return sorted(i for i in users if self.targets[i].picture not in references)


class FolderCorpus(_PictureFiles):
    """A folder of aligned crops, and a CSV in the published layout that lists the references of each target.

    Args:
        spec: `folder`, `references` and `size` of the corpus.

    Raises:
        DataError: the folder has no pictures, the CSV cannot be read, a picture that it names is missing, or a target
            is its own reference.
    """

    def __init__(self, spec: CorpusSpec) -> None:
        folder = Path(spec.folder)
        rows = read_references(Path(spec.references)) if spec.references else _pictures_without_references(folder)
        super().__init__(folder, rows, spec.size, spec.references)


class SyntheticCorpus(_PictureFiles):
    """Rendered people, each in several pictures. Pictures that are missing in the cache are rendered first.

    Args:
        spec: people and pictures, their size, and the cache.

    Raises:
        DataError: there are no people, or fewer than two pictures of each.
        SettingsError: a number is out of its range.
        OutputError: the cache cannot be written.
    """

    def __init__(self, spec: CorpusSpec) -> None:
        if spec.people < 1 or spec.pictures < 2:
            raise DataError(
                f"The corpus has {spec.people} people with {spec.pictures} pictures each.",
                expected="at least one person, and at least 2 pictures of each: a target and a reference",
                remedy="raise corpus.people or corpus.pictures",
            )
        dataset = DatasetSpec(spec.people, spec.pictures, spec.size, spec.first_person)
        folder = Path(spec.cache) / f"portraits-{spec.size}px"
        make_folder(folder)
        with tqdm(desc="rendered", total=spec.people * spec.pictures, unit="picture", disable=None) as bar:
            for count in render_missing(folder, dataset, usable_cores()):
                bar.update(count)
        super().__init__(folder, dataset.rows(), spec.size, "")


def open_corpus(spec: CorpusSpec) -> Corpus:
    """Open the corpus that a spec describes.

    Raises:
        DataError, SettingsError, OutputError: as for `SyntheticCorpus` and `FolderCorpus`.
    """
    return SyntheticCorpus(spec) if spec.kind == "synthetic" else FolderCorpus(spec)


def read_references(path: Path, *, alone: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    """Read a references CSV of the published layout.

    Args:
        path: of the file.
        alone: whether a target may have no references, as a person with one photo has none.

    Returns:
        For each row the target and its references, by file name.

    Raises:
        DataError: the file cannot be read, is empty or lacks a column, a target has no references although `alone` is
            False, or a target is its own reference.
        UnsafePathError: a name would lead out of the folder of pictures.
    """
    try:
        with require_regular(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The CSV {path} cannot be read ({error}).", expected="a CSV file", remedy="check corpus.references"
        ) from error
    if not rows or not {"gt_image", "ref_image"} <= set(rows[0]):
        raise DataError(
            f"The CSV {path} has {'no rows' if not rows else 'the columns ' + ', '.join(map(str, rows[0]))}.",
            expected="the columns gt_image and ref_image, as in the published reference_mapping",
            remedy="use a file of FFHQ-Ref, or one in its layout",
        )
    return [_row(path, line, row, alone) for line, row in enumerate(rows, 2)]


def _row(path: Path, line: int, row: dict[str, str], alone: bool) -> tuple[str, tuple[str, ...]]:
    target = row["gt_image"]
    try:
        parsed = ast.literal_eval(row["ref_image"] or "[]")
        references = tuple(str(name) for name in cast(list[object], parsed))
        if not isinstance(parsed, list | tuple):
            raise ValueError
    # MemoryError and RecursionError come from deeply nested brackets.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise DataError(
            f"Line {line} of {path} has the references {shorten(row['ref_image'])}.",
            expected="a list of file names such as ['00012.png', '00345.png']",
            remedy="correct the line",
        ) from error
    if target in references or not (references or alone):
        what = "has itself among its references" if references else "has no references"
        raise DataError(
            f"{target}, line {line} of {path}, {what}.",
            expected="other pictures of the same person",
            remedy="correct the line or leave it out: a model that sees the target among its references learns nothing",
        )
    for name in (target, *references):
        require_plain(name, f"Line {line} of {path}")
    return target, references


def _pictures_without_references(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    names = [path.name for path in pictures_in(folder, subfolders=False)]
    if not names:
        raise DataError(
            f"There are no pictures in {folder or 'corpus.folder'}.",
            expected="a folder of aligned face crops",
            remedy="set corpus.folder, or corpus.kind: synthetic",
        )
    return [(name, ()) for name in names]
