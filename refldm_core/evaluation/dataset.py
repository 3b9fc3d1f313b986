"""What is evaluated: the true pictures, whom they show, their references, and which prediction belongs to which."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..data.corpus import DataError, read_references
from ..data.graphs import connected_components
from ..files import in_unicode, require_regular
from ..pictures.formats import pictures_in as picture_files


@dataclass(frozen=True)
class Target:
    """A true picture.

    Attributes:
        name: its path below the folder of the true pictures, with its ending and with slashes.
        path: of the file.
        person: whom it shows; its own name where nothing says who.
        references: photos of the same person.
    """

    name: str
    path: Path
    person: str
    references: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Something about the files that the report names; the rest is done.

    Attributes:
        kind: such as "prediction missing".
        what: the file or picture.
        detail: what is wrong with it, or what it means.
        method: whose predictions it is about; "" for all.
        mend: whether something must be mended, or this is only worth knowing.
    """

    kind: str
    what: str
    detail: str
    method: str = ""
    mend: bool = True


def find_targets(
    folder: Path,
    references: Path | None = None,
    people: Path | None = None,
    reference_folder: Path | None = None,
) -> tuple[list[Target], list[Finding]]:
    """The pictures to judge against, in the order of their names.

    Args:
        folder: of the true pictures, with subfolders. With `references` only those that are targets there.
        references: CSV of the published layout. Pictures that it connects, directly or by others, show one person.
        people: CSV with the columns image and person, which goes before that.
        reference_folder: where the reference photos lie; None for `folder`.

    Raises:
        DataError: no such folder, no pictures in it, or a CSV that cannot be used.
    """
    findings: list[Finding] = []
    names = [] if references else _in_unicode(pictures_in(folder), findings)
    rows = read_references(references, alone=True) if references else [(name, ()) for name in names]
    if not rows:
        raise DataError(
            f"There are no pictures in {folder}.",
            expected="a folder of true pictures",
            remedy="check --ground-truth",
        )
    named: Mapping[str, str] = _read_people(people) if people else dict[str, str]()
    shown = {**_connected(rows), **named}
    targets: dict[str, Target] = {}
    for name, photos in rows:
        path = folder / name
        if name in targets:
            findings.append(Finding("duplicate", name, f"{references} names it as a target more than once"))
        elif not path.is_file():
            findings.append(Finding("ground truth missing", name, f"there is no such picture in {folder}"))
        else:
            there = [(reference_folder or folder) / photo for photo in photos]
            lost = [photo.name for photo in there if not photo.is_file()]
            if lost:
                findings.append(Finding("reference missing", name, f"its references {', '.join(lost)} are not there"))
            found = tuple(photo for photo in there if photo.is_file())
            targets[name] = Target(name, path, shown.get(name, name), found)
            if people and name not in named:
                findings.append(
                    Finding("person unknown", name, f"{people.name} does not name it; it counts as {shown[name]}")
                )
    findings += _single_photos(targets.values(), bool(references), bool(people))
    return sorted(targets.values(), key=lambda target: target.name), findings


def match_predictions(
    method: str, folder: Path, targets: Sequence[Target], others: Collection[str] = ()
) -> tuple[dict[str, Path], list[Finding]]:
    """Which prediction is of which target: by name, whatever the ending, as `refldm restore` names its results.

    Args:
        method: whose predictions.
        folder: of them, with subfolders.
        targets: what is judged.
        others: names of true pictures that are no targets; their predictions are passed over.

    Returns:
        Target's name -> prediction, and what does not fit.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.", expected="a folder of predictions", remedy="check --predictions")
    stems = Counter(_stem(target.name) for target in targets)
    exact = {target.name: target.name for target in targets}
    by_stem = {_stem(name): name for name in exact if stems[_stem(name)] == 1}
    found: dict[str, list[str]] = defaultdict(list)
    findings: list[Finding] = []
    passed_over = {*others, *(_stem(name) for name in others)}
    for name in _in_unicode(pictures_in(folder), findings, method):
        # a.png; a.png.png, where a.jpg lies beside it; or a with another ending.
        target = exact.get(name) or exact.get(_stem(name)) or by_stem.get(_stem(name))
        if target is None and {name, _stem(name)} & passed_over:
            continue
        if target is None:
            findings.append(Finding("extra prediction", name, "no true picture has that name", method))
        else:
            found[target].append(name)
    matched: dict[str, Path] = {}
    for target in exact:
        names = found[target]
        if len(names) == 1:
            matched[target] = folder / names[0]
        elif names:
            findings.append(Finding("duplicate", target, f"has several predictions: {', '.join(names)}", method))
        else:
            findings.append(Finding("prediction missing", target, f"{folder} has no picture of that name", method))
    return matched, findings


def pictures_in(folder: Path) -> list[str]:
    """Names of the pictures below a folder, with slashes, sorted; hidden files are left out."""
    return sorted(file.relative_to(folder).as_posix() for file in picture_files(folder, subfolders=True))


def _in_unicode(names: Iterable[str], findings: list[Finding], method: str = "") -> list[str]:
    """The names that reports can hold; the others are left out with a finding."""
    usual: list[str] = []
    for name in names:
        if in_unicode(name) == name:
            usual.append(name)
        else:
            what = in_unicode(name)
            findings.append(Finding("name unusable", what, "its name is not Unicode text: rename the file", method))
    return usual


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _connected(rows: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """Picture -> person, named by the first of the pictures that are connected."""
    links = [(target, photo) for target, photos in rows for photo in (target, *photos)]
    names = sorted({name for link in links for name in link})
    index = {name: i for i, name in enumerate(names)}
    pairs = np.array([[index[a], index[b]] for a, b in links], dtype=np.int64)
    labels = connected_components(pairs, len(names)).tolist()
    first: dict[int, str] = {}
    for name, label in zip(names, labels, strict=True):
        first.setdefault(label, name)
    return {name: first[label] for name, label in zip(names, labels, strict=True)}


def _read_people(path: Path) -> Mapping[str, str]:
    try:
        with require_regular(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}).", expected="a CSV file", remedy="check --people") from error
    if not rows or not {"image", "person"} <= set(rows[0]):
        raise DataError(
            f"{path} has {'the columns ' + ', '.join(map(str, rows[0])) if rows else 'no rows'}.",
            expected="the columns image and person, with a file name and whom it shows",
            remedy="correct the file, or leave out --people",
        )
    for line, row in enumerate(rows, 2):
        if not row["image"] or not row["person"]:
            raise DataError(
                f"Line {line} of {path} has no {'person' if row['image'] else 'image'}.",
                expected="a file name and whom it shows in every row",
                remedy="complete the row, or leave it out",
            )
    return {row["image"]: row["person"] for row in rows}


def _single_photos(targets: Iterable[Target], references: bool, people: bool) -> list[Finding]:
    """Who has one photo only, where somebody said who is who."""
    if not (references or people):
        return []
    everybody = list(targets)
    photos = Counter(target.person for target in everybody)
    without = "; there is no similarity to references" if references else ""
    return [
        Finding("one photo", target.name, f"is the only photo of that person{without}", mend=False)
        for target in everybody
        if photos[target.person] == 1 and not target.references
    ]
