"""Low-quality versions of picture files, each in its own way, and the table that says how each was made."""

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
"""Name of the table, beside the pictures."""

COLUMNS: tuple[str, ...] = ("file", "kind", "seed", "blur_sigma", "downscale", "noise_sigma", "jpeg_quality")


@dataclass(frozen=True)
class Degraded:
    """One result: its path below the output folder, and how it was made."""

    file: str
    kind: Kind
    seed: int
    degradation: Degradation

    def row(self) -> dict[str, str | float | int | None]:
        """The result's line of the table, by column."""
        drawn = self.degradation
        numbers = (drawn.blur_sigma, drawn.downscale, drawn.noise_sigma, drawn.jpeg_quality)
        return dict(zip(COLUMNS, (self.file, self.kind, self.seed, *numbers), strict=True))


def picture_seed(name: str, seed: int) -> int:
    """A picture's own seed: 48 bits, which every JSON reader keeps exactly, so that the node can be given the same.

    Args:
        name: of the picture's file, with its ending, and with "/" before it its subfolder.
        seed: of the whole set.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()[:6], "big")


def degrade_file(source: Path, target: Path, file: str, kind: Kind, seed: int) -> Degraded:
    """Write a low-quality version of a picture.

    Args:
        source: a good picture.
        target: of the result; its folder is made where there is none.
        file: the target's path below the output folder, for the table.
        kind: how strong.
        seed: the picture's own.

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
    """Rows of earlier runs into the same folder, by file.

    Raises:
        OutputError: the file is another table, which is not replaced, or cannot be read.
    """
    if not path.exists():
        return {}
    try:
        with require_regular(path).open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) == COLUMNS:
                return {row["file"]: {name: row[name] for name in COLUMNS} for row in table}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutputError(
            f"{path} cannot be read: {error}.", expected="the table of an earlier run", remedy="move it away"
        ) from error
    raise OutputError(
        f"{path} is another table.",
        expected="no such file, or one of an earlier run, with the columns " + ", ".join(COLUMNS),
        remedy="move it away, or choose another --output",
    )


def write_table(path: Path, earlier: Mapping[str, Mapping[str, str]], done: Iterable[Degraded]) -> None:
    """Replace the table by its earlier rows and those of what was done now, sorted by file.

    Raises:
        OutputError: it cannot be written.
    """
    rows: dict[str, Mapping[str, object]] = {**earlier, **{picture.file: picture.row() for picture in done}}
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows[name] for name in sorted(rows))
