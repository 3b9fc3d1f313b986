"""Is a download of FFHQ-Ref or CelebA-Test-Ref whole? Published files against the pictures of a local folder.

Layout as its authors publish it (README of github.com/ChiWeiHsiao/ref-ldm, release 0.1.0): FFHQ-Ref has
reference_mapping/{train,val,test}_references.csv, id_based_ffhq_split/{train,val,test}_image.txt and
test_images/{severe,moderate}_degrad; CelebA-Test-Ref has test_references.csv and celeba_test_images. The good pictures
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
"""Targets and their references."""


class Size(NamedTuple):
    """How large a split is: its targets, and their people (None where nobody has said how many)."""

    images: int
    people: int | None


FFHQ_REF: dict[Split, Size] = {"train": Size(18_816, 6_073), "val": Size(732, 300), "test": Size(857, 150)}
"""As published (paper, section on FFHQ-Ref): 20,405 images of 6,523 people."""

FFHQ_IMAGES = 70_000
CELEBA_REF = Size(2_533, None)
_NAMED = 5
_SOURCE = "https://github.com/ChiWeiHsiao/ref-ldm/releases/tag/0.1.0"


@dataclass(frozen=True)
class Problem:
    """Something that is not as published.

    Attributes:
        text: a sentence without its full stop.
        names: of the pictures that it is about, all of them.
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
    """What was found.

    Attributes:
        sizes: of each split.
        problems: empty where all is as published.
        notes: what could not be checked, and what is unusual but harmless.
        references: rows of each split, with the paths of the pictures below the local folder; without missing
            references, and without rows whose target, or whose every reference, is missing.
    """

    sizes: Mapping[Split, Size]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    references: Mapping[Split, References]

    def as_json(self) -> dict[str, Any]:
        """Sizes, problems with all their names, and notes."""
        return {
            "sizes": {split: size._asdict() for split, size in self.sizes.items()},
            "problems": [{"problem": problem.text, "names": list(problem.names)} for problem in self.problems],
            "notes": list(self.notes),
        }

    def write(self, folder: Path) -> None:
        """Write a references CSV for each split, with paths below the local folder, as training takes them.

        Raises:
            OutputError: one cannot be written.
        """
        for split, rows in self.references.items():
            write_references(folder / f"{split}_references.csv", rows, degraded=False)


def check_ffhq_ref(
    dataset: Path, images: Path, expected: Mapping[Split, Size] = FFHQ_REF, listed: int = FFHQ_IMAGES
) -> Check:
    """Check FFHQ-Ref.

    Args:
        dataset: folder of the published files.
        images: folder of FFHQ's pictures; they may lie in subfolders (images1024x1024/00000/00000.png) and have another
            picture format.
        expected: the size of each split.
        listed: pictures in the three lists together.

    Raises:
        DataError: a CSV is missing or has another layout, or a folder holds no pictures.
    """
    tables: dict[Split, References] = {split: _table(dataset, split) for split in SPLITS}
    lists: dict[Split, tuple[str, ...] | None] = {split: _listed(dataset, split) for split in SPLITS}
    pictures = LocalPictures(images)
    sizes: dict[Split, Size] = {split: size_of(table) for split, table in tables.items()}
    problems: list[Problem] = []
    notes: list[str] = []
    for split, table in tables.items():
        problems += _check_table(split, table, expected[split], pictures)
    problems += _shared({split: _names(table) for split, table in tables.items()}, "the references")
    absent = [split for split, names in lists.items() if names is None]
    if absent:
        notes.append(f"Not checked: the lists of all images, for {', '.join(absent)} has none in id_based_ffhq_split.")
    else:
        problems += _check_lists({split: names or () for split, names in lists.items()}, tables, pictures, listed)
    for kind in ("severe_degrad", "moderate_degrad"):
        folder = _first(dataset / "test_images" / kind, dataset / kind)
        if folder is None:
            notes.append(f"Not checked: the low-quality test pictures, for there is no folder test_images/{kind}.")
        else:
            problems += _missing(LocalPictures(folder), [target for target, _ in tables["test"]], "targets of test")
    notes += pictures.notes()
    return Check(sizes, tuple(problems), tuple(notes), {s: _resolved(table, pictures) for s, table in tables.items()})


def check_celeba_ref(dataset: Path, images: Path, targets: Path | None = None, expected: Size = CELEBA_REF) -> Check:
    """Check CelebA-Test-Ref.

    Args:
        dataset: folder of the published files: test_references.csv, and celeba_test_images with the targets, good and
            low-quality, in subfolders. Those with "lq", "low" or "degrad" in their names hold the low-quality ones.
        images: folder of CelebAMask-HQ's pictures, among which are the references.
        targets: folder of the good targets, where the names of the subfolders do not tell; None to search for them.
        expected: the size.

    Raises:
        DataError: the CSV is missing or has another layout, or a folder holds no pictures.
    """
    table = _table(dataset, "test")
    whole = _first(dataset / "celeba_test_images", dataset)
    assert whole is not None  # the CSV was in it
    low_folders = [path for path in sorted(whole.rglob("*")) if path.is_dir() and _holds_low(path.relative_to(whole))]
    good = LocalPictures(whole, without=low_folders) if targets is None else LocalPictures(targets)
    references = LocalPictures(images)
    size = size_of(table)
    names = [target for target, _ in table]
    problems = _wrong_size("test", size, expected) + _repeated("test", table)
    problems += _missing(good, names, "targets")
    problems += _missing(references, sorted({name for _, others in table for name in others}), "references")
    notes: list[str] = []
    if not low_folders:
        notes.append("Not checked: low-quality pictures, for no folder is named for them.")
    for folder in low_folders:
        problems += _missing(LocalPictures(folder), names, "targets")
    return Check({"test": size}, tuple(problems), (*notes, *references.notes()), {})


def size_of(table: References) -> Size:
    """Distinct targets, and the people that targets and references join."""
    names = sorted(_names(table))
    index = {name: i for i, name in enumerate(names)}
    pairs = [(index[target], index[reference]) for target, references in table for reference in references]
    labels = connected_components(np.array(pairs, dtype=np.int64), len(names))
    return Size(len({target for target, _ in table}), len(set(labels.tolist())))


def _check_table(split: Split, table: References, expected: Size, pictures: LocalPictures) -> list[Problem]:
    found = _wrong_size(split, size_of(table), expected) + _repeated(split, table)
    return found + _missing(pictures, sorted(_names(table)), f"pictures of {split}'s references")


def _missing(pictures: LocalPictures, names: Sequence[str], what: str) -> list[Problem]:
    missing = tuple(name for name in names if pictures.find(name) is None)
    return [Problem(f"{len(missing)} {what} are not in {pictures.folder}", missing)] if missing else []


def _wrong_size(split: Split, size: Size, expected: Size) -> list[Problem]:
    people = size.people if expected.people is not None else None
    if (size.images, people) == expected:
        return []
    of = f" of {people:,} people" if people is not None else ""
    of_expected = f" of {expected.people:,}" if expected.people is not None else ""
    return [Problem(f"{split} has {size.images:,} images{of}; published are {expected.images:,}{of_expected}")]


def _repeated(split: Split, table: References) -> list[Problem]:
    again = tuple(name for name, count in Counter(target for target, _ in table).items() if count > 1)
    return [Problem(f"{len(again)} targets of {split} have several rows", again)] if again else []


def _shared(groups: Mapping[Split, set[str]], where: str) -> Iterator[Problem]:
    for i, first in enumerate(SPLITS):
        for second in SPLITS[i + 1 :]:
            common = tuple(sorted(groups[first] & groups[second]))
            if common:
                yield Problem(f"{len(common)} pictures are in {where} of both {first} and {second}", common)


def _check_lists(
    lists: Mapping[Split, Sequence[str]], tables: Mapping[Split, References], pictures: LocalPictures, listed: int
) -> Iterator[Problem]:
    # Compared without ending or folder: nothing published says that the lists have them.
    stems: dict[Split, set[str]] = {split: {Path(name).stem for name in names} for split, names in lists.items()}
    total = sum(len(names) for names in lists.values())
    if total != listed:
        sizes = ", ".join(f"{split} {len(lists[split]):,}" for split in SPLITS)
        yield Problem(f"The lists hold {total:,} images ({sizes}); published are {listed:,}")
    yield from _shared(stems, "the lists")
    for split in SPLITS:
        strangers = tuple(sorted(name for name in _names(tables[split]) if Path(name).stem not in stems[split]))
        if strangers:
            yield Problem(f"{len(strangers)} pictures of {split}'s references are not in its list", strangers)
        yield from _missing(pictures, lists[split], f"pictures of {split}'s list")


def _resolved(table: References, pictures: LocalPictures) -> References:
    resolved: list[tuple[str, tuple[str, ...]]] = []
    for target, names in table:
        path = pictures.find(target)
        references = tuple(reference for reference in map(pictures.find, names) if reference is not None)
        if path is not None and references:
            resolved.append((path, references))
    return resolved


def _names(table: References) -> set[str]:
    return {name for target, references in table for name in (target, *references)}


def _table(dataset: Path, split: Split) -> References:
    name = f"{split}_references.csv"
    path = _first(dataset / "reference_mapping" / name, dataset / name)
    if path is None:
        raise DataError(
            f"There is no {name} in {dataset}.",
            expected="the published files, CSVs in reference_mapping or in the folder itself",
            remedy=f"unpack them from {_SOURCE} (non-commercial research use only)",
        )
    return read_references(path)


def _listed(dataset: Path, split: Split) -> tuple[str, ...] | None:
    names = (f"{split}_image.txt", f"{split}_images.txt", f"{split}.txt")
    path = _first(*(folder / name for folder in (dataset / "id_based_ffhq_split", dataset) for name in names))
    if path is None:
        return None
    try:
        lines = require_regular(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The list {path} cannot be read ({error}).", expected="a name on each line", remedy="unpack it again"
        ) from error
    return tuple(line.strip() for line in lines if line.strip())


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def _holds_low(path: Path) -> bool:
    return any(word in path.name.lower() for word in ("lq", "low", "degrad"))
