"""Send cases to a worker process, and end it when it hangs or takes too much memory."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from .cases import BYTES_LIMIT, CRASH, HANG, MEMORY, SECONDS_LIMIT, BrokenCaseError, Case, Verdict
from .worker import serve

_PAUSE = 0.02
"""Seconds between two looks at the memory of the worker."""
_START_LIMIT = 180.0
"""Seconds for importing all readers, and for making an input."""


class Supervisor:
    """Judges cases in a worker process, which is replaced when it ends.

    Args:
        folder: Folder for the inputs and the worker's log.
        seeds: Folder of `seed_files`.
    """

    def __init__(self, folder: Path, seeds: Path) -> None:
        self._folder, self._seeds = folder, seeds
        self._log = folder / "worker.log"
        self._process: Any = None
        self._connection: Any = None

    def judge(self, reader: str, number: int, seed: int, keep: Path | None = None) -> Verdict:
        """Judge one case.

        Args:
            reader, number, seed: See `Case`.
            keep: Folder for the inputs of findings; None keeps none.

        Raises:
            BrokenCaseError: The fuzz command itself failed.
        """
        case = Case(reader, number, seed, self._folder / f"{reader}-{number}", self._seeds)
        case.folder.mkdir()
        self._ensure_worker()
        verdict = self._judge(case)
        if keep is not None and verdict.kind not in ("accepted", "refused"):
            with suppress(OSError):
                shutil.copytree(case.folder, keep / f"{reader}-{seed}-{number}", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(case.folder, ignore_errors=True)
        return verdict

    def close(self) -> None:
        """End the worker."""
        if self._process is not None:
            with suppress(psutil.Error):
                for child in psutil.Process(self._process.pid).children(recursive=True):  # of a command
                    child.kill()
            self._process.kill()
            self._process.join()
            self._process = None

    def _ensure_worker(self) -> None:
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._log.unlink(missing_ok=True)
            self._connection, worker_end = context.Pipe()
            # A daemon could not start processes, and some commands start them.
            self._process = context.Process(target=serve, args=(worker_end, self._log))
            self._process.start()
            worker_end.close()

    def _judge(self, case: Case) -> Verdict:
        self._connection.send(case)
        try:
            if not self._connection.poll(_START_LIMIT):
                raise BrokenCaseError(f"The input of {case} takes longer than {_START_LIMIT:g} s.")
            kind, *answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise BrokenCaseError(
                f"The worker ended while it made the input of {case}: {self._end_of_log()}"
            ) from error
        if kind == "broken":
            raise BrokenCaseError(f"The input of {case} cannot be made:\n{answer[0]}")
        used, size = answer
        verdict = self._wait(used, size)
        too_much = verdict.growth > size + BYTES_LIMIT
        return verdict._replace(kind=MEMORY) if too_much else verdict

    def _wait(self, used: int, size: int) -> Verdict:
        """Wait for the verdict. End the worker where it takes too long or too much memory."""
        start = time.perf_counter()
        growth = 0
        for seconds in self._waits(start):
            if self._connection.poll(_PAUSE):
                try:
                    return self._connection.recv()[1]
                except (EOFError, OSError):
                    self._process.join()
                    detail = f"exit code {self._process.exitcode}: {self._end_of_log()}"
                    self._process = None
                    return Verdict(CRASH, detail, seconds, growth, size)
            with suppress(psutil.Error):
                growth = max(growth, psutil.Process(self._process.pid).memory_info().rss - used)
            if growth > size + BYTES_LIMIT:
                self.close()
                return Verdict(MEMORY, f"{growth / 1e6:.0f} MB for an input of {size} bytes", seconds, growth, size)
        self.close()
        return Verdict(HANG, f"no end after {SECONDS_LIMIT:g} s", SECONDS_LIMIT, growth, size)

    @staticmethod
    def _waits(start: float) -> Iterator[float]:
        while (seconds := time.perf_counter() - start) < SECONDS_LIMIT:
            yield seconds

    def _end_of_log(self) -> str:
        with suppress(OSError):
            return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return ""
