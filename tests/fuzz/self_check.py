"""A worker that hangs, crashes and takes memory on purpose, so that the supervisor can be tested."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from .cases import ACCEPTED, BYTES_LIMIT, CRASH, HANG, MEMORY, Verdict

BEHAVIORS = {"good": ACCEPTED, "hanging": HANG, "good again": ACCEPTED, "crashing": CRASH, "large": MEMORY}
"""Name of a case -> the verdict that it must get."""


def serve_behaviors(connection: Connection, log: Path) -> None:
    """Take the place of `worker.serve`."""
    log.touch()
    while (case := connection.recv()) is not None:
        connection.send(("ready", psutil.Process().memory_info().rss, 0))
        if case.reader == "hanging":
            time.sleep(600.0)
        if case.reader == "crashing":
            os.abort()
        if case.reader == "large":
            memory = b"x" * (BYTES_LIMIT + 100_000_000)
            time.sleep(60.0)  # until the supervisor ends this process
            del memory
        connection.send(("done", Verdict(ACCEPTED)))
