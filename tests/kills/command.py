"""The command `python -m tests.kills`."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from .jobs import JOBS
from .killing import Killer, Record

_DESCRIPTION = """\
Kill commands at random moments (kill -9), and continue them.

After each kill, every file with a final name must be complete. In the end, the results must be those of a run that
nobody killed. The exit code is 1 otherwise.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kills", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="kills in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the moments (default: %(default)s)")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, metavar="NAME", help=f"some of {', '.join(JOBS)}")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write a report")
    args = parser.parse_args(argv)
    records = run(args.jobs or list(JOBS), args.kills, args.seed)
    report = as_markdown(records, f"python -m tests.kills --kills {args.kills} --seed {args.seed}")
    if args.report:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        args.report.write_text(report, encoding="utf-8")
    print(report)
    return 0 if all(record.is_clean for record in records.values()) else 1


def run(names: Sequence[str], kills: int, seed: int) -> dict[str, Record]:
    """Kill jobs, and return the record of each.

    Args:
        names: Names of the jobs.
        kills: Kills of all jobs together. They are divided evenly.
        seed: Seed of the moments.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    records: dict[str, Record] = {}
    with tempfile.TemporaryDirectory(prefix="refldm-kills-") as temporary:
        for i, name in enumerate(names):
            share = kills // len(names) + (i < kills % len(names))
            killer = Killer(JOBS[name], Path(temporary) / str(i), Random(f"{seed}/{name}"))
            records[name] = killer.kill(share)
    return records


def as_markdown(records: Mapping[str, Record], command: str) -> str:
    """Return the report as Markdown."""
    lines = [
        "# Runs that were killed and continued",
        "",
        f"Made by `{command}`. Python {platform.python_version()} on {platform.system()}.",
        "",
        "After each kill, every file with a final name was opened and decoded. Then the run was continued, and its "
        "results were compared with those of a run that nobody killed. Quarters are those of that run's duration.",
        "",
        "| command | seconds of a run | kills | in each quarter | runs | half files | failed runs | other results |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, record in records.items():
        quarters = [sum(i / 4 <= moment < (i + 1) / 4 for moment in record.moments) for i in range(4)]
        lines.append(
            f"| {name} | {record.seconds:.2f} | {len(record.moments)} | {', '.join(map(str, quarters))} | "
            f"{record.runs} | {len(record.half_files)} | {len(record.failures)} | {len(record.differing)} |"
        )
    all_records = list(records.values())
    kinds = ("half_files", "failures", "differing")
    sums = [sum(len(getattr(record, kind)) for record in all_records) for kind in kinds]
    total = sum(len(record.moments) for record in all_records)
    lines.append(f"| all | | {total} | | {sum(record.runs for record in all_records)} | {' | '.join(map(str, sums))} |")
    for record in all_records:
        lines += [f"- {text}" for text in (*record.half_files, *record.failures, *record.differing)]
    return "\n".join([*lines, ""])
