"""Make low-quality versions of good pictures, as restorers are trained and tested on.

examples:
  refldm degrade faces/ --output low --kind severe
      Blurs, shrinks and compresses every picture of a folder, and adds noise, as in the paper's harder test set. Each
      picture gets its own strengths, which low/degradations.csv lists.
  refldm degrade "test/*.png" --output low --seed 7
      Degrades as in the milder test set, with other random numbers. The command expands patterns in quotes, also on
      Windows.
  refldm degrade faces/ --output low --kind severe --resume
      Skips pictures whose results exist.

The random numbers of a picture come from --seed and the picture's name, which includes its subfolder of an input
folder. They do not depend on the other pictures. The strengths are for aligned crops of 512 pixels. For another size,
blur and shrinking are scaled with the shorter side of the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import get_args

from ..data.degradation import Kind
from ..data.degraded import TABLE, Degraded, degrade_file, picture_seed, read_table, write_table
from ..files import make_folder
from .inputs import Job, find_jobs
from .job_loop import run_jobs
from .output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, folder or pattern")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the results; it is made if it does not exist",
    )
    parser.add_argument(
        "--kind",
        choices=get_args(Kind),
        default="moderate",
        help="strength: one of the paper's test sets, or the range of its training (default: moderate)",
    )
    parser.add_argument(
        "--seed", type=int, default=2024, metavar="S", help="seed of the random numbers (default: 2024)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist")
    parser.add_argument("--resume", action="store_true", help="skip pictures whose results exist")


def run(args: argparse.Namespace, output: Output) -> int:
    folder: Path = args.output
    make_folder(folder)
    earlier = read_table(folder / TABLE)
    jobs = find_jobs(args.inputs, folder, overwrite=args.overwrite, resume=args.resume)
    degraded: list[Degraded] = []
    failed: list[dict[str, str]] = []
    try:
        run_jobs(jobs, partial(_degrade_job, folder, args.kind, args.seed), output, done=degraded, failed=failed)
    finally:  # An interrupted run also lists its finished pictures.
        if degraded:
            write_table(folder / TABLE, earlier, degraded)
    output.result(
        "\n".join(_in_words(folder, degraded, failed)),
        {
            "degraded": [picture.row() for picture in degraded],
            "failed": failed,
            "output": str(folder),
            "seed": args.seed,
        },
    )
    return 2 if failed else 0


def _in_words(folder: Path, degraded: list[Degraded], failed: list[dict[str, str]]) -> Iterator[str]:
    if not degraded and not failed:
        yield "Everything is done already."
        return
    yield f"{len(degraded)} degraded; {folder / TABLE} says how."
    if failed:
        yield f"{len(failed)} failed:"
        yield from (f"  {failure['input']}: {failure['problem']}" for failure in failed)


def _degrade_job(folder: Path, kind: Kind, seed: int, job: Job) -> Degraded:
    inside = job.target.relative_to(folder)
    # The seed comes from the name of the picture, since the name of the result depends on the pictures beside it.
    seed_of_picture = picture_seed((inside.parent / job.source.name).as_posix(), seed)
    return degrade_file(job.source, job.target, inside.as_posix(), kind, seed_of_picture)
