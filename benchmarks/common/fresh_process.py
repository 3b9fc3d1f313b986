"""Measuring in a fresh process, so that its peak memory is its own and the next measurement survives its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refldm_core.errors import ReFLDMError
from refldm_core.out_of_memory import is_out_of_memory

ROOT = Path(__file__).resolve().parents[2]
OUT_OF_MEMORY = "out of memory"

Job = dict[str, Any]
"""What to measure, as JSON can say it; paths must be absolute."""
Values = dict[str, Any]
"""What was measured, as JSON can say it."""


@dataclass(frozen=True)
class Outcome:
    """How a measuring process ended.

    Attributes:
        values: what it reported, also where it failed later.
        failure: None, `OUT_OF_MEMORY`, or how else it ended.
    """

    values: Values
    failure: str | None = None

    def require(self) -> Values:
        """Raises: ReFLDMError: it failed."""
        if self.failure:
            raise ReFLDMError(
                f"A measuring process failed: {self.failure}.",
                expected="it to end by itself",
                remedy="give it more memory, or less to do: fewer references, a shorter type"
                if self.failure == OUT_OF_MEMORY
                else "its own message stands above",
            )
        return self.values


def run_fresh(module: str, job: Job, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run `serve` of a module in a new process.

    Args:
        module: such as "benchmarks.speed"; its main function must hand the text after --job to `serve`.
        job: what to measure.
        environment: the process's variables; None is this one's.
    """
    words = [sys.executable, "-m", module, "--job", json.dumps(job)]
    # A library's chatter may be in any encoding; the values are ASCII.
    done = subprocess.run(
        words, stdout=subprocess.PIPE, encoding="utf-8", errors="replace", check=False, cwd=ROOT, env=environment
    )
    values: Values = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):  # anything else is a library's chatter
            values |= json.loads(line)
    failure = values.pop("failure", None)
    if failure is None and done.returncode:
        # The system ends a process that takes too much memory by SIGKILL, which Windows has not.
        killed = done.returncode == -getattr(signal, "SIGKILL", 0)
        failure = OUT_OF_MEMORY if killed else f"exit code {done.returncode}"
    return Outcome(values, failure)


def serve(job: str, measure: Callable[[Job], Iterable[Values]]) -> int:
    """Measure in this process: each mapping that `measure` gives is reported at once, before it goes on."""
    with suppress(OSError):  # where memory runs out, this process is to go, not whatever else the machine does
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        for values in measure(json.loads(job)):
            print(json.dumps(values), flush=True)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(json.dumps({"failure": OUT_OF_MEMORY}), flush=True)
        return 1
    except ReFLDMError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
