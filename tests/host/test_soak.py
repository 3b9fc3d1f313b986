"""A short soak: mixed prompts of two clients with interrupts and model switches. `tests.host.soak` runs a long one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from .comfy import Server
from .slopes import slope
from .soak import Soak
from .soak_jobs import KINDS, first_jobs, random_jobs

PROMPTS, WARM_UP = 60, 20


def test_memory_and_results_stay_the_same_over_mixed_prompts(
    face_server: Server, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Soak(face_server).run(PROMPTS, seed=0, warm_up=WARM_UP)
    memory, files, threads = (slope(outcome.series[name]) for name in ("MiB", "files", "threads"))
    record_property("mebibytes_a_prompt", memory.value)
    with capsys.disabled():
        print(f"\nsoak: {memory.value:+.3f} MiB a prompt ({memory.low:+.3f} to {memory.high:+.3f}); {outcome.ends}")
    assert not outcome.faults
    assert not outcome.unequal
    assert sum(len(digests) - 1 for digests in outcome.digests.values()) > 20, "most prompts repeat an earlier one"
    assert outcome.ends["success"] + outcome.ends["interrupted"] == PROMPTS
    assert 0 < outcome.ends["interrupted"] <= outcome.asked
    assert memory.low < 0.1, memory
    assert files.low < 0.05 and threads.low < 0.05, (files, threads)
    first, last = outcome.alive
    assert {name: last[name] <= first[name] for name in ("models", "vaes", "kv")} == dict.fromkeys(
        ("models", "vaes", "kv"), True
    )


def test_prompts_are_mixed_and_repeat() -> None:
    jobs = random_jobs(1000, seed=0)
    assert {job.kind for job, _ in jobs} == set(KINDS) and jobs == random_jobs(1000, seed=0)
    assert 60 < sum(moment is not None for _, moment in jobs) < 140
    switches = sum(a.checkpoint != b.checkpoint for (a, _), (b, _) in pairwise(jobs))
    assert 60 < switches < 140
    assert len({job for job, moment in jobs if moment is None}) <= 48
    kinds = [job.kind for job in first_jobs()]
    assert kinds.index("save references") < kinds.index("load references")


def test_slope_of_a_line_is_exact() -> None:
    estimate = slope([5.0 + 0.25 * i for i in range(100)])
    assert estimate.low == pytest.approx(0.25) and estimate.high == pytest.approx(0.25)


def test_interval_allows_for_similar_neighbors() -> None:
    """Of series of which each value keeps 0.9 of the one before, about 95% of the intervals hold the true slope."""
    random_source = np.random.default_rng(0)
    trials, hits = 300, 0
    for _ in range(trials):
        values = np.zeros(500)
        for i in range(1, 500):
            values[i] = 0.9 * values[i - 1] + random_source.normal()
        estimate = slope((0.05 * np.arange(500) + values).tolist())
        hits += estimate.low <= 0.05 <= estimate.high
    assert 0.92 <= hits / trials <= 0.98
