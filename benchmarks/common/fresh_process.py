"""Measure in a fresh process, so that its peak memory is its own and the benchmark survives its failure."""

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
"""What to measure, as JSON values. Paths must be absolute."""
Values = dict[str, Any]
"""What was measured, as JSON values."""


@dataclass(frozen=True)
class Outcome:
    """How a measuring process ended.

    Attributes:
        values: what it reported before it ended, even if it failed later.
        failure: None, `OUT_OF_MEMORY`, or a text with the exit code.
    """

    values: Values
    failure: str | None = None

    def require(self) -> Values:
        """Return the values.

        Raises:
            ReFLDMError: the process failed.
        """
        if self.failure:
            raise ReFLDMError(
                f"A measuring process failed: {self.failure}.",
                expected="a process that ends without an error",
                remedy="use a machine with more memory, fewer references, or a shorter number type"
                if self.failure == OUT_OF_MEMORY
                else "read the message of that process above",
            )
        return self.values


def run_fresh(module: str, job: Job, environment: Mapping[str, str] | None = None) -> Outcome:
    """Run `serve` in a new process.

    Args:
        module: module to run, such as "benchmarks.speed". It must pass the text after --job to `serve`.
        job: what to measure.
        environment: environment variables of the process; None for those of this process.
    """
    command = [sys.executable, "-m", module, "--job", json.dumps(job)]
    # Other output of libraries may be in any encoding; the values are ASCII.
    completed = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace", check=False, cwd=ROOT, env=environment
    )
    values: Values = {}
    for line in completed.stdout.splitlines():
        if line.startswith("{"):  # other lines are output of libraries
            values |= json.loads(line)
    failure = values.pop("failure", None)
    if failure is None and completed.returncode:
        # Linux ends a process that takes too much memory by SIGKILL, which Windows does not have.
        killed = completed.returncode == -getattr(signal, "SIGKILL", 0)
        failure = OUT_OF_MEMORY if killed else f"exit code {completed.returncode}"
    return Outcome(values, failure)


def serve(job: str, measure: Callable[[Job], Iterable[Values]]) -> int:
    """Measure in this process. Print each mapping that `measure` yields as JSON at once, before it continues.

    Returns:
        The exit code.
    """
    with suppress(OSError):  # if memory runs out, Linux is to end this process and no other
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
