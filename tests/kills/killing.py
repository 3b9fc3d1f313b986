"""Run jobs in processes of their own, kill them at random moments, and compare what continued runs give."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import torch

from ..training.runs import assert_same
from .jobs import JOBS, Job, check_files

_KILLS_IN_A_RUN = 4
"""Most kills of one run before it may end."""
_LIMIT = 300.0
"""Seconds after which an uninterrupted run counts as a hang."""


@dataclass
class Record:
    """What became of the kills of a job.

    Attributes:
        seconds: Duration of an uninterrupted run.
        moments: Moment of each kill, as a share of that duration.
        runs: Number of runs that were killed, continued and compared.
        half_files: Half files under a final name.
        failures: Runs that did not end well when they were continued.
        differing: Runs whose results differ from those of the uninterrupted run.
    """

    seconds: float = 0.0
    moments: list[float] = field(default_factory=list)
    runs: int = 0
    half_files: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.half_files or self.failures or self.differing)


class Killer:
    """Kills one job many times.

    Args:
        job: The job.
        folder: Empty folder for inputs and outputs.
        random: Source of the moments.
    """

    def __init__(self, job: Job, folder: Path, random: Random) -> None:
        self._job, self._folder, self._random = job, folder, random
        self._inputs = folder / "inputs"
        self._inputs.mkdir(parents=True)
        job.prepare(self._inputs)
        self.record = Record()
        self._run_whole(folder / "warm")  # the first run of a process may be slower
        begin = time.perf_counter()
        exit_code = self._run_whole(folder / "whole")
        self.record.seconds = time.perf_counter() - begin
        assert exit_code == 0, f"the uninterrupted run of {job.name} ended with exit code {exit_code}"
        self._expected = job.results(folder / "whole")

    def kill(self, kills: int) -> Record:
        """Kill runs until there were so many kills, and return the record."""
        while len(self.record.moments) < kills:
            self._kill_one_run(kills)
        return self.record

    def _kill_one_run(self, kills: int) -> None:
        out = self._folder / f"run-{self.record.runs}"
        before = len(self.record.moments)
        while len(self.record.moments) < min(kills, before + _KILLS_IN_A_RUN):
            if not self._kill_once(out):
                break  # the run was faster than the moment
        exit_code = self._run_whole(out)
        self.record.runs += 1
        where = f"{self._job.name}, run {self.record.runs}"
        if exit_code != 0:
            self.record.failures.append(f"{where}: exit code {exit_code}")
            return
        self.record.half_files += check_files(out)
        try:
            assert_same(self._job.results(out), self._expected)
        except AssertionError as error:
            self.record.differing.append(f"{where}: {str(error)[:300]}")
        shutil.rmtree(out)

    def _kill_once(self, out: Path) -> bool:
        """Start or continue a run, and kill it at a random moment. Return whether it was still running."""
        process, connection = self._start(out)
        moment = self._random.random() * self.record.seconds
        with contextlib.suppress(EOFError):
            connection.recv()  # the work begins
        process.join(moment)
        was_running = process.is_alive()
        process.kill()  # SIGKILL where there are signals
        process.join()
        if was_running:
            self.record.moments.append(moment / self.record.seconds)
            self.record.half_files += [f"{self._job.name}: {text}" for text in check_files(out)]
        return was_running

    def _run_whole(self, out: Path) -> int | None:
        process, _ = self._start(out)
        process.join(_LIMIT)
        if process.is_alive():
            process.kill()
            process.join()
            return None
        return process.exitcode

    def _start(self, out: Path) -> tuple[Any, Connection]:
        out.mkdir(exist_ok=True)
        connection, job_end = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_work, args=(self._job.name, self._inputs, out, job_end))
        process.start()
        job_end.close()
        return process, connection


def _work(name: str, inputs: Path, out: Path, connection: Connection) -> None:
    """Do the work of a job in this process, and end it with the job's exit code."""
    torch.set_num_threads(1)
    connection.send("begin")
    with Path(os.devnull).open("w", encoding="utf-8") as null, contextlib.redirect_stdout(null):
        code = JOBS[name].work(inputs, out)
    raise SystemExit(code)


def _context() -> Any:
    """Return the way to start processes. Where there is fork, they need not import torch again."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kills.jobs"])
    return context


_CONTEXT = _context()
