"""Pictures to train on, and which of them are references of which: drawn people, or a folder with the published CSV."""

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

from ..errors import ReFLDMError, shortened
from ..files import require_regular
from ..images import load_image
from ..paths import require_plain
from ..pictures.formats import pictures_in
from .synthetic import Portrait, conditions, person, render

Picture = NDArray[np.uint8]
"""(size, size, 3) RGB."""


class DataError(ReFLDMError):
    """Training or evaluation data that cannot be used."""


@dataclass(frozen=True)
class CorpusSpec:
    """What to train on.

    Attributes:
        kind: "synthetic" people, or a "folder" of aligned face crops.
        first_person, people, pictures: synthetic: seeds of the people, and how many pictures there are of each.
        folder: of the pictures.
        references: CSV of the published layout: the columns gt_image (a file name in `folder`) and ref_image (a Python
            list of file names). "" where no references are needed: every picture of the folder is then a target.
        size: height and width in pixels that the pictures are brought to.
    """

    kind: Literal["synthetic", "folder"] = "synthetic"
    first_person: int = 0
    people: int = 1000
    pictures: int = 8
    folder: str = ""
    references: str = ""
    size: int = 512


@dataclass(frozen=True)
class Target:
    """A picture to learn to restore, and the pictures of the same person that may guide it (indices)."""

    picture: int
    references: tuple[int, ...]


class Corpus(Protocol):
    """Pictures by index, and targets."""

    targets: Sequence[Target]

    def picture(self, index: int) -> Picture: ...

    def sharing(self, references: Sequence[int]) -> Sequence[int]:
        """Indices of the targets that have all these references and are none of them."""
        ...


class SyntheticCorpus:
    """Drawn people, each under several conditions; picture k is of person k // pictures.

    Args:
        spec: of the corpus.

    Raises:
        DataError: fewer than two pictures of each person.
    """

    def __init__(self, spec: CorpusSpec) -> None:
        if spec.people < 1 or spec.pictures < 2:
            raise DataError(
                f"A corpus of {spec.people} people with {spec.pictures} pictures each.",
                expected="at least one person, and at least 2 pictures of each: a target and a reference",
                remedy="raise corpus.people or corpus.pictures",
            )
        self.spec = spec
        count = spec.people * spec.pictures
        self.targets: Sequence[Target] = [
            Target(k, tuple(i for i in self._of_same_person(k) if i != k)) for k in range(count)
        ]

    def picture(self, index: int) -> Picture:
        who, which = divmod(index, self.spec.pictures)
        return synthetic_portrait(self.spec.first_person + who, which, self.spec.size).picture

    def sharing(self, references: Sequence[int]) -> Sequence[int]:
        taken = set(references)
        return [i for i in self._of_same_person(references[0]) if i not in taken]

    def _of_same_person(self, index: int) -> range:
        first = index - index % self.spec.pictures
        return range(first, first + self.spec.pictures)


def synthetic_portrait(who: int, which: int, size: int) -> Portrait:
    """Picture number `which` of the person with seed `who`."""
    seed = int(np.random.SeedSequence([who, which]).generate_state(1, np.uint32)[0])
    return render(person(who), conditions(seed), size)


class FolderCorpus:
    """A folder of aligned crops, and a CSV of the published layout that says whose references are whose.

    Args:
        spec: of the corpus.

    Raises:
        DataError: no pictures, a CSV that cannot be read, a row whose file is missing, or a reference that is the
            target itself.
    """

    def __init__(self, spec: CorpusSpec) -> None:
        self.spec = spec
        folder = Path(spec.folder)
        rows = read_references(Path(spec.references)) if spec.references else _all_of(folder)
        names = sorted({name for target, references in rows for name in (target, *references)})
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            row = next(i for i, (target, refs) in enumerate(rows, 2) if missing[0] in (target, *refs))
            raise DataError(
                f"{len(missing)} pictures are not in {folder}; the first is {missing[0]}"
                + (f", line {row} of {spec.references}." if spec.references else "."),
                expected="every file that the CSV names",
                remedy="correct corpus.folder, or leave those rows out of the CSV",
            )
        index = {name: i for i, name in enumerate(names)}
        self._paths = [folder / name for name in names]
        self.targets: Sequence[Target] = [Target(index[t], tuple(index[r] for r in refs)) for t, refs in rows]
        self._users: dict[int, set[int]] = {}
        for i, target in enumerate(self.targets):
            for reference in target.references:
                self._users.setdefault(reference, set()).add(i)

    def picture(self, index: int) -> Picture:
        size = (self.spec.size, self.spec.size)
        image = load_image(self._paths[index])
        return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BICUBIC))

    def sharing(self, references: Sequence[int]) -> Sequence[int]:
        users = set[int].intersection(*(self._users[r] for r in references))
        return sorted(i for i in users if self.targets[i].picture not in references)


def open_corpus(spec: CorpusSpec) -> Corpus:
    """The corpus that a spec means; errors as its class."""
    return SyntheticCorpus(spec) if spec.kind == "synthetic" else FolderCorpus(spec)


def read_references(path: Path, *, alone: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    """Rows of a references CSV of the published layout: (target, its references).

    Args:
        path: of the file.
        alone: whether a target may have no references, as somebody of whom there is one photo.

    Raises:
        DataError: unreadable, without its columns, empty, or a row with no references or with itself among them.
        UnsafePathError: a name that would lead out of the folder of pictures.
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
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:  # the last two: deep brackets
        raise DataError(
            f"Line {line} of {path} has the references {shortened(row['ref_image'])}.",
            expected="a list of file names such as ['00012.png', '00345.png']",
            remedy="correct the line",
        ) from error
    if target in references or not (references or alone):
        what = "has itself among its references" if references else "has no references"
        raise DataError(
            f"{target}, line {line} of {path}, {what}.",
            expected="other pictures of the same person",
            remedy="correct the line or leave it out: a model that sees the answer learns nothing",
        )
    for name in (target, *references):
        require_plain(name, f"Line {line} of {path}")
    return target, references


def _all_of(folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    names = [path.name for path in pictures_in(folder, subfolders=False)]
    if not names:
        raise DataError(
            f"There are no pictures in {folder or 'corpus.folder'}.",
            expected="a folder of aligned face crops",
            remedy="set corpus.folder, or corpus.kind: synthetic",
        )
    return [(name, ()) for name in names]
