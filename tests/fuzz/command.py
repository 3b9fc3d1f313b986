"""The command `python -m tests.fuzz`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .cases import FINDINGS, Verdict
from .readers import READERS
from .report import Outcome, as_markdown
from .seed_files import write_seed_files
from .supervisor import Supervisor

_DESCRIPTION = """\
Feed damaged and hostile files to every reader of this project.

Each case is judged in a process with limits of time and memory. The exit code is 1 if there is any finding.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=2000, metavar="N", help="most cases (default: %(default)s)")
    parser.add_argument("--seconds", type=float, metavar="S", help="start no case after this time")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all cases (default: %(default)s)")
    parser.add_argument("--readers", nargs="+", choices=READERS, metavar="NAME", help=f"some of {', '.join(READERS)}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the inputs of findings in this folder")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write a report")
    args = parser.parse_args(argv)
    names = args.readers or list(READERS)
    outcome = run(names, args.cases, args.seed, seconds=args.seconds, keep=args.keep, shows_findings=True)
    words = [f"--{name} {value}" for name in ("cases", "seconds", "seed") if (value := getattr(args, name)) is not None]
    words += [f"--readers {' '.join(args.readers)}"] if args.readers else []
    report = as_markdown(outcome, f"python -m tests.fuzz {' '.join(words)}")
    if args.report:
        args.report.parent.mkdir(parents=True, exist_ok=True)
        args.report.write_text(report, encoding="utf-8")
    print(report)
    return 1 if outcome.findings else 0


def run(
    names: Sequence[str],
    cases: int,
    seed: int,
    *,
    seconds: float | None = None,
    keep: Path | None = None,
    shows_findings: bool = False,
) -> Outcome:
    """Judge cases of some readers.

    Args:
        names: Names of the readers.
        cases: Most cases.
        seed: Seed of all cases.
        seconds: No case starts after this time. None sets no limit.
        keep: Folder for the inputs of findings; None keeps none.
        shows_findings: Print each finding at once.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    outcome = Outcome({name: [] for name in names})
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="refldm-fuzz-") as temporary:
        seeds = Path(temporary) / "seeds"
        write_seed_files(seeds)
        supervisor = Supervisor(Path(temporary), seeds)
        try:
            for name, number in turns({name: READERS[name].share for name in names}, cases):
                if seconds is not None and time.perf_counter() - begin > seconds:
                    break
                verdict = supervisor.judge(name, number, seed, keep)
                outcome.verdicts[name].append(verdict)
                if shows_findings and verdict.kind in FINDINGS:
                    _show(name, number, verdict)
        finally:
            supervisor.close()
    return outcome


def turns(shares: Mapping[str, int], count: int) -> Iterator[tuple[str, int]]:
    """Yield `count` pairs of a reader and the number of its case. Readers take turns in proportion to their shares."""
    credit = dict.fromkeys(shares, 0)
    numbers = dict.fromkeys(shares, 0)
    for _ in range(count):
        for name, share in shares.items():
            credit[name] += share
        name = max(credit, key=lambda n: credit[n])
        credit[name] -= sum(shares.values())
        yield name, numbers[name]
        numbers[name] += 1


def _show(name: str, number: int, verdict: Verdict) -> None:
    print(f"{name} case {number}: {verdict.kind}\n{verdict.detail}\n", file=sys.stderr, flush=True)
