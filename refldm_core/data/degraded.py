"""Low-quality versions of picture files, and the table of the parameters that each was made with."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import OutputError
from ..files import atomic_write, in_unicode, make_folder, require_regular
from ..images import load_image, save_image
from .degradation import RANGES, Degradation, Kind, degrade, draw

TABLE = "degradations.csv"
"""File name of the table, in the folder of the pictures."""

COLUMNS: tuple[str, ...] = ("file", "kind", "seed", "blur_sigma", "downscale", "noise_sigma", "jpeg_quality")


@dataclass(frozen=True)
class Degraded:
    """One low-quality picture: its path below the output folder, and how it was made."""

    file: str
    kind: Kind
    seed: int
    degradation: Degradation

    def row(self) -> dict[str, str | float | int | None]:
        """Return the picture's row of the table, by column."""
        degradation = self.degradation
        numbers = (degradation.blur_sigma, degradation.downscale, degradation.noise_sigma, degradation.jpeg_quality)
        return dict(zip(COLUMNS, (self.file, self.kind, self.seed, *numbers), strict=True))


def picture_seed(name: str, seed: int) -> int:
    """Return the seed of one picture: 48 bits, which every JSON reader keeps exactly, so that the node accepts it too.

    Args:
        name: path of the picture's file below its folder, with "/" and with its ending.
        seed: seed of the whole set.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()[:6], "big")


def degrade_file(source: Path, target: Path, file: str, kind: Kind, seed: int) -> Degraded:
    """Write a low-quality version of a picture.

    Args:
        source: file of the good picture.
        target: file to write; a missing folder is created.
        file: path of the target below the output folder, for the table.
        kind: kind of degradation, which sets the ranges.
        seed: seed of this picture.

    Raises:
        ImageFileError: the source cannot be read.
        OutputError: the target cannot be written.
    """
    degradation = draw(RANGES[kind], seed)
    result = Image.fromarray(degrade(np.array(load_image(source)), degradation))
    make_folder(target.parent)
    save_image(result, target)
    return Degraded(in_unicode(file), kind, seed, degradation)


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Read the rows that earlier runs wrote into the same folder.

    Returns:
        Each row by column, under its file; empty where there is no table.

    Raises:
        OutputError: the file cannot be read, or it is another table, which must not be replaced.
    """
    if not path.exists():
        return {}
    try:
        with require_regular(path).open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) == COLUMNS:
                rows = list(table)
                if not all(set(row) == set(COLUMNS) and None not in row.values() for row in rows):
                    raise ValueError("a row has too few or too many columns")
                return {row["file"]: row for row in rows}
    except (OSError, ValueError, csv.Error) as error:
        raise OutputError(
            f"{path} cannot be read: {error}.", expected="the table of an earlier run", remedy="move the file away"
        ) from error
    raise OutputError(
        f"{path} is not a table of degradations.",
        expected="no such file, or the table of an earlier run with the columns " + ", ".join(COLUMNS),
        remedy="move the file away, or choose another --output",
    )


def write_table(path: Path, earlier: Mapping[str, Mapping[str, str]], done: Iterable[Degraded]) -> None:
    """Write the table: its earlier rows and those of new pictures, sorted by file.

    Args:
        path: file of the table.
        earlier: rows of earlier runs, by file. A new row of the same file replaces the earlier one.
        done: the new pictures.

    Raises:
        OutputError: the table cannot be written.
    """
    rows: dict[str, Mapping[str, object]] = {**earlier, **{picture.file: picture.row() for picture in done}}
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows[name] for name in sorted(rows))
