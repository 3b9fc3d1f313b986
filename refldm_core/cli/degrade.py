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
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from ..data.degradation import Kind
from ..data.degraded import TABLE, Degraded, degrade_file, picture_seed, read_table, write_table
from ..errors import OutputError, ReFLDMError
from ..files import make_folder
from .inputs import Job, find_jobs
from .output import Output


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
    make_folder(folder)
    earlier = read_table(folder / TABLE)
    jobs = find_jobs(args.inputs, folder, overwrite=args.overwrite, resume=args.resume)
    done: list[Degraded] = []
    failed: list[dict[str, str]] = []
    try:
        for job in output.with_progress(jobs, "pictures", len(jobs)):
            try:
                done.append(_degrade_one(job, folder, args.kind, args.seed))
            except ReFLDMError as error:
                if len(jobs) == 1 or isinstance(error, OutputError):  # a full disk would fail all the others too
                    raise
                failed.append({"input": str(job.source), "problem": error.problem, "remedy": error.remedy})
                output.failure(str(job.source), error)
    finally:  # also of what was done before an interruption
        if done:
            write_table(folder / TABLE, earlier, done)
    output.result(
        "\n".join(_in_words(folder, done, failed)),
        {"degraded": [picture.row() for picture in done], "failed": failed, "output": str(folder), "seed": args.seed},
    )
    return 2 if failed else 0


def _in_words(folder: Path, done: list[Degraded], failed: list[dict[str, str]]) -> Iterator[str]:
    if not done and not failed:
        yield "Everything is done already."
        return
    yield f"{len(done)} degraded; {folder / TABLE} says how."
    if failed:
        yield f"{len(failed)} failed:"
        yield from (f"  {failure['input']}: {failure['problem']}" for failure in failed)


def _degrade_one(job: Job, folder: Path, kind: Kind, seed: int) -> Degraded:
    inside = job.target.relative_to(folder)
    # With the picture's own ending: the result's depends on which others lie beside it.
    own_seed = picture_seed((inside.parent / job.source.name).as_posix(), seed)
    return degrade_file(job.source, job.target, inside.as_posix(), kind, own_seed)
