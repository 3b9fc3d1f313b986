"""A small random model, and measuring in this process, since starting Python and torch would take most of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from benchmarks.common.fresh_process import Job, Outcome, Values
from benchmarks.common.measuring import TINY
from refldm_core.checkpoints.random_weights import write_random_model

RunFresh = Callable[[str, Job, Mapping[str, str] | None], Outcome]


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    write_random_model(path, TINY)
    return path


def in_process(measure: Callable[[Job], Iterable[Values]], jobs: list[Job]) -> RunFresh:
    """Return a replacement for `run_fresh` that measures in this process and appends every job to `jobs`."""

    def run(module: str, job: Job, environment: Mapping[str, str] | None = None) -> Outcome:
        jobs.append(job)
        merged: Values = {}
        for values in measure(job):
            merged |= values
        return Outcome(merged)

    return run
