"""Make low-quality versions of good pictures, as restorers are trained and tested on.

examples:
  refldm degrade faces/ --output low --kind severe
      Every picture of a folder, blurred, shrunk, noisy and compressed as in the paper's harder test set; each in its
      own way. low/degradations.csv says how.
  refldm degrade "test/*.png" --output low --seed 7
      The milder test set, other random numbers. Patterns in quotes are expanded here, also on Windows.
  refldm degrade faces/ --output low --kind severe --resume
      Leaves out pictures whose results exist.

A picture's random numbers come from --seed and its name (below a folder, with its subfolder), so they do not depend on
the other pictures. They are for aligned crops of 512 pixels; for another size, blur and shrinking are scaled with the
picture's shorter side.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from ..data.degradation import RANGES, Degradation, Kind, degrade, draw
from ..errors import OutputError, ReFLDMError
from ..files import atomic_write, output_error
from ..images import load_image, save_image
from .inputs import Job, find_jobs
from .output import Output

_TABLE = "degradations.csv"
_COLUMNS: tuple[str, ...] = ("file", "kind", "seed", "blur_sigma", "downscale", "noise_sigma", "jpeg_quality")


@dataclass(frozen=True)
class _Done:
    """One result: its path below the output folder, and how it was made."""

    file: str
    kind: Kind
    seed: int
    degradation: Degradation

    def row(self) -> dict[str, str | float | int | None]:
        drawn = self.degradation
        numbers = (drawn.blur_sigma, drawn.downscale, drawn.noise_sigma, drawn.jpeg_quality)
        return dict(zip(_COLUMNS, (self.file, self.kind, self.seed, *numbers), strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, folder or pattern")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for the results; made where there is none"
    )
    parser.add_argument(
        "--kind",
        choices=get_args(Kind),
        default="moderate",
        help="how strong: one of the paper's test sets, or the range of its training (default: moderate)",
    )
    parser.add_argument("--seed", type=int, default=2024, metavar="S", help="of the random numbers (default: 2024)")
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("--resume", action="store_true", help="leave out pictures whose results exist")


def run(args: argparse.Namespace, output: Output) -> int:
    folder: Path = args.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    earlier = _read_table(folder / _TABLE)
    jobs = find_jobs(args.inputs, folder, overwrite=args.overwrite, resume=args.resume)
    done: list[_Done] = []
    failed: list[dict[str, str]] = []
    try:
        for job in output.each(jobs, "pictures", len(jobs)):
            try:
                done.append(_degrade_one(job, folder, args.kind, args.seed))
            except ReFLDMError as error:
                if len(jobs) == 1 or isinstance(error, OutputError):  # a full disk would fail all the others too
                    raise
                failed.append({"input": str(job.source), "problem": error.problem, "remedy": error.remedy})
                output.failure(str(job.source), error)
    finally:  # also of what was done before an interruption
        if done:
            _write_table(folder / _TABLE, earlier, done)
    output.result(
        "\n".join(_in_words(folder, done, failed)),
        {"degraded": [one.row() for one in done], "failed": failed, "output": str(folder), "seed": args.seed},
    )
    return 2 if failed else 0


def _in_words(folder: Path, done: list[_Done], failed: list[dict[str, str]]) -> Iterator[str]:
    if not done and not failed:
        yield "Everything is done already."
        return
    yield f"{len(done)} degraded; {folder / _TABLE} says how."
    if failed:
        yield f"{len(failed)} failed:"
        yield from (f"  {one['input']}: {one['problem']}" for one in failed)


def _degrade_one(job: Job, folder: Path, kind: Kind, seed: int) -> _Done:
    inside = job.target.relative_to(folder)
    # With the picture's own ending: the result's depends on which others lie beside it.
    own_seed = _seed_of((inside.parent / job.source.name).as_posix(), seed)
    degradation = draw(RANGES[kind], own_seed)
    result = Image.fromarray(degrade(np.array(load_image(job.source)), degradation))
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)  # a subfolder of an input folder
    except OSError as error:
        raise output_error(job.target, error) from error
    save_image(result, job.target)
    return _Done(inside.as_posix(), kind, own_seed, degradation)


def _seed_of(name: str, seed: int) -> int:
    """48 bits, which every JSON reader keeps exactly, so that the node can be given the same seed."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:6], "big")


def _read_table(path: Path) -> dict[str, dict[str, str]]:
    """Rows of earlier runs into the same folder, by file.

    Raises:
        OutputError: the file is another table, which is not replaced, or cannot be read.
    """
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) == _COLUMNS:
                return {row["file"]: {name: row[name] for name in _COLUMNS} for row in table}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutputError(
            f"{path} cannot be read: {error}.", expected="the table of an earlier run", remedy="move it away"
        ) from error
    raise OutputError(
        f"{path} is another table.",
        expected="no such file, or one of an earlier run, with the columns " + ", ".join(_COLUMNS),
        remedy="move it away, or choose another --output",
    )


def _write_table(path: Path, earlier: dict[str, dict[str, str]], done: list[_Done]) -> None:
    rows = {**earlier, **{one.file: one.row() for one in done}}
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, _COLUMNS)
        table.writeheader()
        table.writerows(rows[name] for name in sorted(rows))
