"""The true pictures of an evaluation, the people whom they show, their references, and their predictions."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..data.corpus import DataError, read_references
from ..data.graphs import connected_components
from ..files import in_unicode, require_regular
from ..pictures.formats import pictures_in as picture_files


@dataclass(frozen=True)
class Target:
    """A true picture to judge predictions against.

    Attributes:
        name: Path below the folder of the true pictures, with its ending and with slashes.
        path: File of the picture.
        person: The person whom the picture shows; the target's own name where no file says who it is.
        references: Photos of the same person.
    """

    name: str
    path: Path
    person: str
    references: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A fact about the files that the report names. The evaluation goes on without the file.

    Attributes:
        kind: Kind of the finding, such as "prediction missing".
        what: File or picture.
        detail: What is wrong with it, or what follows from it.
        method: Method whose predictions are concerned; "" for all methods.
        mend: True where the user must correct something, False where the finding is only worth knowing.
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
    """Return the pictures to judge against, in the order of their names, and the findings about them.

    Args:
        folder: Folder of the true pictures, searched with its subfolders. With `references` only the targets of that
            CSV count.
        references: CSV of the published layout. Pictures that it connects, directly or through others, show one
            person.
        people: CSV with the columns image and person. It takes precedence over `references`.
        reference_folder: Folder of the reference photos; None for `folder`.

    Raises:
        DataError: The folder does not exist or holds no pictures, or a CSV cannot be used.
    """
    findings: list[Finding] = []
    names = [] if references else _unicode_names(pictures_in(folder), findings)
    rows = read_references(references, alone=True) if references else [(name, ()) for name in names]
    if not rows:
        raise DataError(
            f"There are no pictures in {folder}.",
            expected="a folder of true pictures",
            remedy="check --ground-truth",
        )
    listed_people: Mapping[str, str] = _read_people(people) if people else dict[str, str]()
    person_of = {**_connected_people(rows), **listed_people}
    targets: dict[str, Target] = {}
    for name, photos in rows:
        path = folder / name
        if name in targets:
            findings.append(Finding("duplicate", name, f"{references} names it as a target more than once"))
        elif not path.is_file():
            findings.append(Finding("ground truth missing", name, f"there is no such picture in {folder}"))
        else:
            paths = [(reference_folder or folder) / photo for photo in photos]
            targets[name] = Target(name, path, person_of.get(name, name), _existing_references(name, paths, findings))
            if people and name not in listed_people:
                detail = f"{people.name} does not name it; it counts as {person_of[name]}"
                findings.append(Finding("person unknown", name, detail))
    if references or people:
        findings += _single_photos(targets.values(), with_references=references is not None)
    return sorted(targets.values(), key=lambda target: target.name), findings


def match_predictions(
    method: str, folder: Path, targets: Sequence[Target], other_pictures: Collection[str] = ()
) -> tuple[dict[str, Path], list[Finding]]:
    """Match predictions to targets by name, whatever the ending, as `refldm restore` names its results.

    Args:
        method: Name of the method, for the findings.
        folder: Folder of its predictions, searched with its subfolders.
        targets: Targets of the evaluation.
        other_pictures: Names of further true pictures, which are not judged. Predictions of them are ignored.

    Returns:
        Name of the target -> file of its prediction, and a finding for everything that does not match.

    Raises:
        DataError: The folder does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder.", expected="a folder of predictions", remedy="check --predictions")
    target_names = [target.name for target in targets]
    target_of = _target_lookup(target_names)
    ignored = {*other_pictures, *map(_stem, other_pictures)}
    candidates: dict[str, list[str]] = defaultdict(list)
    findings: list[Finding] = []
    for name in _unicode_names(pictures_in(folder), findings, method):
        target = target_of(name)
        if target is not None:
            candidates[target].append(name)
        elif not {name, _stem(name)} & ignored:
            findings.append(Finding("extra prediction", name, "no true picture has that name", method))
    matches: dict[str, Path] = {}
    for target in target_names:
        match candidates[target]:
            case [name]:
                matches[target] = folder / name
            case []:
                detail = f"{folder} has no picture of that name"
                findings.append(Finding("prediction missing", target, detail, method))
            case names:
                findings.append(Finding("duplicate", target, f"has several predictions: {', '.join(names)}", method))
    return matches, findings


def pictures_in(folder: Path) -> list[str]:
    """Return the names of the pictures below a folder, with slashes and sorted, without hidden files."""
    return sorted(file.relative_to(folder).as_posix() for file in picture_files(folder, subfolders=True))


def _target_lookup(names: Sequence[str]) -> Callable[[str], str | None]:
    """Return the function that gives the target of a prediction by its name; None where there is no such target."""
    exact = set(names)
    stems = Counter(map(_stem, names))
    by_stem = {_stem(name): name for name in names if stems[_stem(name)] == 1}

    def target_of(prediction: str) -> str | None:
        stem = _stem(prediction)
        if prediction in exact:  # a.png of a.png
            return prediction
        if stem in exact:  # a.png.png of a.png, where a.jpg is a target too
            return stem
        return by_stem.get(stem)  # a.png of a.jpg

    return target_of


def _existing_references(target: str, paths: Sequence[Path], findings: list[Finding]) -> tuple[Path, ...]:
    """Return the reference photos that exist. Add a finding that names the missing ones."""
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        findings.append(Finding("reference missing", target, f"its references {', '.join(missing)} are not there"))
    return tuple(path for path in paths if path.is_file())


def _unicode_names(names: Iterable[str], findings: list[Finding], method: str = "") -> list[str]:
    """Return the names that a report can hold. Add a finding for each of the others."""
    usable: list[str] = []
    for name in names:
        printable = in_unicode(name)
        if printable == name:
            usable.append(name)
        else:
            detail = "its name is not Unicode text: rename the file"
            findings.append(Finding("name unusable", printable, detail, method))
    return usable


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _connected_people(rows: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """Return the person of each picture. Connected pictures show one person, named after the first of them."""
    links = [(target, photo) for target, photos in rows for photo in (target, *photos)]
    names = sorted({name for link in links for name in link})
    index = {name: i for i, name in enumerate(names)}
    pairs = np.array([[index[target], index[photo]] for target, photo in links], dtype=np.int64)
    labels = connected_components(pairs, len(names)).tolist()
    person: dict[int, str] = {}
    for name, label in zip(names, labels, strict=True):
        person.setdefault(label, name)
    return {name: person[label] for name, label in zip(names, labels, strict=True)}


def _read_people(path: Path) -> Mapping[str, str]:
    try:
        with require_regular(path).open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}).", expected="a CSV file", remedy="check --people") from error
    if not rows or not {"image", "person"} <= set(rows[0]):
        raise DataError(
            f"{path} has {'the columns ' + ', '.join(map(str, rows[0])) if rows else 'no rows'}.",
            expected="the columns image and person: a file name and the person whom it shows",
            remedy="correct the file, or leave out --people",
        )
    for line, row in enumerate(rows, 2):
        if not row["image"] or not row["person"]:
            raise DataError(
                f"Line {line} of {path} has no {'person' if row['image'] else 'image'}.",
                expected="a file name and a person in every row",
                remedy="complete the row, or leave it out",
            )
    return {row["image"]: row["person"] for row in rows}


def _single_photos(targets: Iterable[Target], *, with_references: bool) -> list[Finding]:
    """Return a finding for each person of whom there is one photo only."""
    all_targets = list(targets)
    photos = Counter(target.person for target in all_targets)
    consequence = "; there is no similarity to references" if with_references else ""
    return [
        Finding("one photo", target.name, f"is the only photo of that person{consequence}", mend=False)
        for target in all_targets
        if photos[target.person] == 1 and not target.references
    ]
