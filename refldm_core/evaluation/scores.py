"""The table of all scores: a CSV file that grows during the work, so that an interrupted run can be resumed."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError
from ..files import atomic_write, require_regular
from .cells import as_cell, from_cell
from .metric_list import FIDELITY, IDENTITY, LEARNED, LIKENESS

COLUMNS: tuple[str, ...] = ("method", "image", "person", "prediction_sha256", "truth_sha256")
VALUES: tuple[str, ...] = (*IDENTITY, *LIKENESS.values(), *FIDELITY, *LEARNED)
"""The metrics of single pictures. Each has a column."""

_WRITE_INTERVAL = 5.0
"""Seconds between two writes of the file. A crash loses the work of this time at most."""


@dataclass(frozen=True)
class Row:
    """The scores of one prediction.

    Attributes:
        method: Method that made the prediction.
        image: Name of the target.
        person: The person whom the target shows.
        prediction_sha256, truth_sha256: Hashes of the files. They tell whether a file has changed since.
        values: Metric -> value. Metrics without a value are left out.
    """

    method: str
    image: str
    person: str
    prediction_sha256: str
    truth_sha256: str
    values: Mapping[str, float]


class Scores:
    """The rows by method and image, and the file that holds them.

    Args:
        path: CSV file of the rows.
        resume: Begin with the rows of the file. Otherwise begin without rows.

    Raises:
        OutputError: The file holds another table, or cannot be read.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.rows: dict[tuple[str, str], Row] = _read(path) if resume and path.exists() else {}
        self._written = time.monotonic()

    def add(self, row: Row) -> None:
        """Add or replace a row. Write the file if the last write is a few seconds ago."""
        self.rows[row.method, row.image] = row
        if time.monotonic() - self._written > _WRITE_INTERVAL:
            self.write()

    def write(self) -> None:
        """Replace the file.

        Raises:
            OutputError: The file cannot be written. It is then unchanged.
        """
        with atomic_write(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, [*COLUMNS, *VALUES])
            table.writeheader()
            for _, row in sorted(self.rows.items()):
                cells = {column: as_cell(getattr(row, column)) for column in COLUMNS}
                # `repr` writes a number to its last digit.
                table.writerow({**cells, **{name: repr(value) for name, value in row.values.items()}})
        self._written = time.monotonic()


def _read(path: Path) -> dict[tuple[str, str], Row]:
    try:
        with require_regular(path).open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) == (*COLUMNS, *VALUES):
                rows = [
                    Row(
                        *(from_cell(row[column]) for column in COLUMNS),
                        values={name: float(row[name]) for name in VALUES if row[name]},
                    )
                    for row in table
                ]
                return {(row.method, row.image): row for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise OutputError(
            f"{path} cannot be read: {error}.",
            expected="the table of an earlier evaluation",
            remedy="move it away, or add --overwrite instead of --resume",
        ) from error
    raise OutputError(
        f"{path} is another table.",
        expected="the table of an earlier evaluation, with the columns " + ", ".join((*COLUMNS, *VALUES)),
        remedy="move it away, or choose another --output",
    )
