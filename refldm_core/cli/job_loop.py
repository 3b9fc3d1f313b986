"""The loop over the pictures of a command: a picture that fails does not stop the next ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import OutputError, ReFLDMError
from .inputs import Job
from .output import Output

Result = TypeVar("Result")


def run_jobs(
    jobs: Sequence[Job],
    work: Callable[[Job], Result],
    output: Output,
    *,
    done: list[Result],
    failed: list[dict[str, str]],
) -> None:
    """Do the work of each job.

    Args:
        jobs: Pictures to work on.
        work: Works on one picture, and returns a report of it.
        output: Output of the command. It shows progress and failures.
        done: Receives the report of each picture during the work, so that it is complete after an interruption.
        failed: Receives input, problem and remedy of each picture that cannot be used.

    Raises:
        ReFLDMError: The only picture cannot be used.
        OutputError: A result cannot be written. A full disk would stop the next pictures too.
    """
    for job in output.with_progress(jobs, "pictures", len(jobs)):
        try:
            done.append(work(job))
        except ReFLDMError as error:
            if len(jobs) == 1 or isinstance(error, OutputError):
                raise
            failed.append({"input": str(job.source), "problem": error.problem, "remedy": error.remedy})
            output.failure(str(job.source), error)
