"""Check that a download of FFHQ-Ref or CelebA-Test-Ref is complete: compare it with the local folder of pictures.

The layout is the published one (README of github.com/ChiWeiHsiao/ref-ldm, release 0.1.0). FFHQ-Ref has
reference_mapping/{train,val,test}_references.csv, id_based_ffhq_split/{train,val,test}_image.txt and
test_images/{severe,moderate}_degrad. CelebA-Test-Ref has test_references.csv and celeba_test_images. The good pictures
come from FFHQ and CelebAMask-HQ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..files import require_regular
from .build_output import write_references
from .corpus import DataError, read_references
from .graphs import connected_components
from .local_pictures import LocalPictures
from .splits import SPLITS, Split

References = Sequence[tuple[str, tuple[str, ...]]]
"""Targets, each with its references, by file name."""


class Size(NamedTuple):
    """Size of a split: number of targets, and number of people (None where it is not published)."""

    images: int
    people: int | None


FFHQ_REF: dict[Split, Size] = {"train": Size(18_816, 6_073), "val": Size(732, 300), "test": Size(857, 150)}
"""Published size of each split (paper, section on FFHQ-Ref). In total: 20,405 images of 6,523 people."""

FFHQ_IMAGES = 70_000
CELEBA_REF = Size(2_533, None)
_NAMED = 5
"""Most names in the text of a problem."""
_SOURCE = "https://github.com/ChiWeiHsiao/ref-ldm/releases/tag/0.1.0"


@dataclass(frozen=True)
class Problem:
    """A difference from the published dataset.

    Attributes:
        text: a sentence without its full stop.
        names: names of all pictures that it concerns.
    """

    text: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.names:
            return f"{self.text}."
        more = f" and {len(self.names) - _NAMED} more" if len(self.names) > _NAMED else ""
        return f"{self.text}: {', '.join(self.names[:_NAMED])}{more}."


@dataclass(frozen=True)
class Check:
    """The result of a check.

    Attributes:
        sizes: size of each split.
        problems: differences from the published dataset; empty where there are none.
        notes: what could not be checked, and what is unusual but harmless.
        references: rows of each split, with the paths of the pictures below the local folder. Missing references are
            left out. Rows without a target or without any reference are left out too.
    """

    sizes: Mapping[Split, Size]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    references: Mapping[Split, References]

    def as_json(self) -> dict[str, Any]:
        """Return the sizes, the problems with all their names, and the notes in types that JSON has."""
        return {
            "sizes": {split: size._asdict() for split, size in self.sizes.items()},
            "problems": [{"problem": problem.text, "names": list(problem.names)} for problem in self.problems],
            "notes": list(self.notes),
        }

    def write(self, folder: Path) -> None:
        """Write a references CSV for each split, with paths below the local folder, for training.

        Raises:
            OutputError: a file cannot be written.
        """
        for split, rows in self.references.items():
            write_references(folder / f"{split}_references.csv", rows, degraded=False)


def check_ffhq_ref(
    dataset: Path, images: Path, expected: Mapping[Split, Size] = FFHQ_REF, listed: int = FFHQ_IMAGES
) -> Check:
    """Check FFHQ-Ref.

    Args:
        dataset: folder of the published files.
        images: folder of FFHQ's pictures. They may lie in subfolders (images1024x1024/00000/00000.png) and have another
            picture format.
        expected: expected size of each split.
        listed: expected number of pictures in the three lists together.

    Raises:
        DataError: a CSV is missing or has another layout, a folder holds no pictures, or a name occurs in two
            subfolders.
    """
    tables: dict[Split, References] = {split: _read_table(dataset, split) for split in SPLITS}
    lists: dict[Split, tuple[str, ...] | None] = {split: _read_list(dataset, split) for split in SPLITS}
    pictures = LocalPictures(images)
    sizes: dict[Split, Size] = {split: size_of(table) for split, table in tables.items()}
    problems: list[Problem] = []
    notes: list[str] = []
    for split, table in tables.items():
        problems += _check_table(split, table, expected[split], pictures)
    problems += _shared_pictures({split: _names_in(table) for split, table in tables.items()}, "the references")
    absent = [split for split, names in lists.items() if names is None]
    if absent:
        notes.append(f"The lists of all images were not checked: id_based_ffhq_split has none for {', '.join(absent)}.")
    else:
        problems += _check_lists({split: names or () for split, names in lists.items()}, tables, pictures, listed)
    for kind in ("severe_degrad", "moderate_degrad"):
        folder = _first_existing(dataset / "test_images" / kind, dataset / kind)
        if folder is None:
            notes.append(f"The low-quality test pictures were not checked: there is no folder test_images/{kind}.")
        else:
            problems += _missing_pictures(
                LocalPictures(folder), [target for target, _ in tables["test"]], "targets of test"
            )
    notes += pictures.notes()
    return Check(
        sizes, tuple(problems), tuple(notes), {s: _resolve_paths(table, pictures) for s, table in tables.items()}
    )


def check_celeba_ref(dataset: Path, images: Path, targets: Path | None = None, expected: Size = CELEBA_REF) -> Check:
    """Check CelebA-Test-Ref.

    Args:
        dataset: folder of the published files: test_references.csv, and celeba_test_images with subfolders of good and
            of low-quality targets. Subfolders with "lq", "low" or "degrad" in their names hold the low-quality ones.
        images: folder of CelebAMask-HQ's pictures, which contain the references.
        targets: folder of the good targets, where the names of the subfolders do not tell it. None searches for them.
        expected: expected size.

    Raises:
        DataError: the CSV is missing or has another layout, a folder holds no pictures, or a name occurs in two
            subfolders.
    """
    table = _read_table(dataset, "test")
    test_folder = _first_existing(dataset / "celeba_test_images", dataset)
    assert test_folder is not None  # the CSV was in the dataset's folder
    low_folders = [path for path in sorted(test_folder.rglob("*")) if path.is_dir() and _is_low_quality(path)]
    good = LocalPictures(test_folder, without=low_folders) if targets is None else LocalPictures(targets)
    references = LocalPictures(images)
    size = size_of(table)
    names = [target for target, _ in table]
    problems = _wrong_size("test", size, expected) + _repeated_targets("test", table)
    problems += _missing_pictures(good, names, "targets")
    problems += _missing_pictures(
        references, sorted({name for _, names_of_row in table for name in names_of_row}), "references"
    )
    notes: list[str] = []
    if not low_folders:
        notes.append("The low-quality pictures were not checked: no folder has lq, low or degrad in its name.")
    for folder in low_folders:
        problems += _missing_pictures(LocalPictures(folder), names, "targets")
    return Check({"test": size}, tuple(problems), (*notes, *references.notes()), {})


def size_of(table: References) -> Size:
    """Count the distinct targets, and the people that rows with common pictures join."""
    names = sorted(_names_in(table))
    index = {name: i for i, name in enumerate(names)}
    pairs = [(index[target], index[reference]) for target, references in table for reference in references]
    labels = connected_components(np.array(pairs, dtype=np.int64), len(names))
    return Size(len({target for target, _ in table}), len(set(labels.tolist())))


def _check_table(split: Split, table: References, expected: Size, pictures: LocalPictures) -> list[Problem]:
    problems = _wrong_size(split, size_of(table), expected) + _repeated_targets(split, table)
    return problems + _missing_pictures(pictures, sorted(_names_in(table)), f"pictures of {split}'s references")


def _missing_pictures(pictures: LocalPictures, names: Sequence[str], what: str) -> list[Problem]:
    missing = tuple(name for name in names if pictures.find(name) is None)
    return [Problem(f"{len(missing)} {what} are not in {pictures.folder}", missing)] if missing else []


def _wrong_size(split: Split, size: Size, expected: Size) -> list[Problem]:
    people = size.people if expected.people is not None else None
    if (size.images, people) == expected:
        return []
    of = f" of {people:,} people" if people is not None else ""
    of_expected = f" of {expected.people:,}" if expected.people is not None else ""
    return [Problem(f"{split} has {size.images:,} images{of}; published are {expected.images:,}{of_expected}")]


def _repeated_targets(split: Split, table: References) -> list[Problem]:
    repeated = tuple(name for name, count in Counter(target for target, _ in table).items() if count > 1)
    return [Problem(f"{len(repeated)} targets of {split} have several rows", repeated)] if repeated else []


def _shared_pictures(groups: Mapping[Split, set[str]], where: str) -> Iterator[Problem]:
    for i, first in enumerate(SPLITS):
        for second in SPLITS[i + 1 :]:
            common = tuple(sorted(groups[first] & groups[second]))
            if common:
                yield Problem(f"{len(common)} pictures are in {where} of both {first} and {second}", common)


def _check_lists(
    lists: Mapping[Split, Sequence[str]], tables: Mapping[Split, References], pictures: LocalPictures, listed: int
) -> Iterator[Problem]:
    # Names are compared without ending and folder: nothing published says whether the lists have them.
    stems: dict[Split, set[str]] = {split: {Path(name).stem for name in names} for split, names in lists.items()}
    total = sum(len(names) for names in lists.values())
    if total != listed:
        sizes = ", ".join(f"{split} {len(lists[split]):,}" for split in SPLITS)
        yield Problem(f"The lists hold {total:,} images ({sizes}); published are {listed:,}")
    yield from _shared_pictures(stems, "the lists")
    for split in SPLITS:
        unlisted = tuple(sorted(name for name in _names_in(tables[split]) if Path(name).stem not in stems[split]))
        if unlisted:
            yield Problem(f"{len(unlisted)} pictures of {split}'s references are not in its list", unlisted)
        yield from _missing_pictures(pictures, lists[split], f"pictures of {split}'s list")


def _resolve_paths(table: References, pictures: LocalPictures) -> References:
    resolved: list[tuple[str, tuple[str, ...]]] = []
    for target, names in table:
        path = pictures.find(target)
        references = tuple(reference for reference in map(pictures.find, names) if reference is not None)
        if path is not None and references:
            resolved.append((path, references))
    return resolved


def _names_in(table: References) -> set[str]:
    return {name for target, references in table for name in (target, *references)}


def _read_table(dataset: Path, split: Split) -> References:
    name = f"{split}_references.csv"
    path = _first_existing(dataset / "reference_mapping" / name, dataset / name)
    if path is None:
        raise DataError(
            f"There is no {name} in {dataset}.",
            expected="the published files, with the CSVs in reference_mapping or in the folder itself",
            remedy=f"unpack them from {_SOURCE} (non-commercial research use only)",
        )
    return read_references(path)


def _read_list(dataset: Path, split: Split) -> tuple[str, ...] | None:
    names = (f"{split}_image.txt", f"{split}_images.txt", f"{split}.txt")
    path = _first_existing(*(folder / name for folder in (dataset / "id_based_ffhq_split", dataset) for name in names))
    if path is None:
        return None
    try:
        lines = require_regular(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The list {path} cannot be read ({error}).", expected="a name on each line", remedy="unpack the list again"
        ) from error
    return tuple(line.strip() for line in lines if line.strip())


def _first_existing(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def _is_low_quality(path: Path) -> bool:
    return any(word in path.name.lower() for word in ("lq", "low", "degrad"))
