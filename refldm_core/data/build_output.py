"""The files of a dataset: CSVs and lists in the published layout, the table of people, and the degraded test sets."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..files import atomic_write, make_folder, output_error
from ..paths import path_inside
from ..progress import ShowProgress
from .degradation import Kind
from .degraded import TABLE, Degraded, degrade_file, picture_seed, read_table, write_table
from .splits import SPLITS, Row, Split

IMAGES = "images"
MAPPING = "reference_mapping"
LISTS = "id_based_split"
PEOPLE = "people.csv"

TEST_SETS: dict[Kind, str] = {"moderate": "moderate_degrad", "severe": "severe_degrad"}
"""Folder of the low-quality test pictures of each kind, below test_images, as published."""


def write_lists(
    output: Path,
    names: Sequence[str],
    people: Sequence[Sequence[int]],
    split_of: Mapping[str, Split],
    rows: Mapping[Split, Sequence[Row]],
) -> None:
    """Write the references and the list of each split, and the table of people.

    Args:
        output: folder of the dataset.
        names: names of all pictures, sorted.
        people: indices of each person's pictures.
        split_of: split of each picture. A person with one picture has none; the picture is then listed for training,
            where a model without references can use it.
        rows: targets and references of each split.

    Raises:
        OutputError: a file cannot be written.
    """
    for split in SPLITS:
        write_references(
            output / MAPPING / f"{split}_references.csv",
            [(names[r.target], [names[i] for i in r.references]) for r in sorted(rows[split], key=lambda r: r.target)],
            degraded=split == "test",
        )
        listed = [name for name in names if split_of.get(name, "train") == split]
        _write_text(output / LISTS / f"{split}_image.txt", "".join(f"{name}\n" for name in listed))
    number = {k: i for i, members in enumerate(people) for k in members}
    table = [[name, str(number[k]), split_of.get(name, "train")] for k, name in enumerate(names)]
    _write_csv(output / PEOPLE, ["image", "person", "split"], table)


def write_references(path: Path, rows: Iterable[tuple[str, Sequence[str]]], *, degraded: bool) -> None:
    """Write a references CSV of the published layout.

    Args:
        path: of the file.
        rows: each target with its references.
        degraded: whether to add the column lq_image: the name of the low-quality picture, which is the target's name.

    Raises:
        OutputError: the file cannot be written.
    """
    header = ["gt_image", "ref_image"] + ["lq_image"] * degraded
    _write_csv(path, header, ([gt, str(list(references))] + [gt] * degraded for gt, references in rows))


def degrade_tests(
    output: Path, names: Sequence[str], kinds: Iterable[Kind], seed: int, *, show_progress: ShowProgress
) -> None:
    """Write the low-quality test pictures.

    Pictures that are up to date are not written again. Pictures whose target is no longer a test target are deleted.

    Args:
        output: folder of the dataset.
        names: names of the test targets.
        kinds: kinds of degradation; each has its own folder.
        seed: seed of the whole set. The degradation of a picture depends on this seed and its name only.
        show_progress: shows the progress.

    Raises:
        OutputError: a file cannot be written.
        UnsafePathError: a name or a link leads out of the dataset. No file of that folder is then deleted.
    """
    seeds = {name: picture_seed(name, seed) for name in names}
    for kind in kinds:
        path = path_inside(output, f"test_images/{TEST_SETS[kind]}/{TABLE}", str(output))
        folder = path.parent
        make_folder(folder)
        earlier = read_table(path)
        # Every name is checked before the first file is deleted.
        paths = {name: path_inside(folder, name, str(path)) for name in {**earlier, **seeds}}
        for name in sorted(set(earlier) - set(seeds)):
            _remove(paths[name])
        table = {name: row for name, row in earlier.items() if name in seeds}
        todo = [n for n in names if not _is_up_to_date(output / IMAGES / n, paths[n], table.get(n), seeds[n])]
        done: list[Degraded] = []
        try:
            for name in show_progress(todo, f"{kind} test pictures", len(todo)):
                done.append(degrade_file(output / IMAGES / name, paths[name], name, kind, seeds[name]))
        finally:  # an interrupted run records what it did
            write_table(path, table, done)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error


def _is_up_to_date(source: Path, target: Path, row: Mapping[str, str] | None, seed: int) -> bool:
    if row is None or row["seed"] != str(seed) or not target.exists():
        return False
    return target.stat().st_mtime_ns >= source.stat().st_mtime_ns


def _write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    make_folder(path.parent)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(lines)


def _write_text(path: Path, text: str) -> None:
    make_folder(path.parent)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
