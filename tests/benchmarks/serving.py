"""A measuring process for test_fresh_process: `python -m tests.benchmarks.serving --job JSON`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

from benchmarks.common.fresh_process import Job, Values, serve


def measure(job: Job) -> Iterator[Values]:
    print("chatter of a library")
    yield {"first": job["number"]}
    yield {"second": 2 * job["number"]}
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)  # as Linux does when memory runs out
    yield {"third": 3 * job["number"]}


if __name__ == "__main__":
    raise SystemExit(serve(sys.argv[-1], measure))
