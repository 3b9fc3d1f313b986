"""The work of `refldm degrade`. Its options are in `arguments/degrade.py`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..data.degradation import Kind
from ..data.degraded import TABLE, Degraded, degrade_file, picture_seed, read_table, write_table
from ..files import make_folder
from .inputs import Job, find_jobs
from .job_loop import run_jobs
from .output import Output


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
