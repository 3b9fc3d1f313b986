"""Measuring processes: values that they reported before they failed are kept, and the failure is reported."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.common.fresh_process import OUT_OF_MEMORY, Job, Outcome, Values, run_fresh, serve
from refldm_core.errors import ReFLDMError, SettingsError


@pytest.fixture(autouse=True)
def _own_oom_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep `serve` from making the process of the tests the first that Linux ends when memory runs out."""
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: 0)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_values_of_a_killed_process_are_kept() -> None:
    assert run_fresh("tests.benchmarks.serving", {"number": 7}) == Outcome({"first": 7, "second": 14}, OUT_OF_MEMORY)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")]
)
def test_out_of_memory_is_reported(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(job: Job) -> Iterator[Values]:
        yield {"step": job["seconds"]}
        raise error

    assert serve('{"seconds": 3}', measure) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"step": 3}, {"failure": OUT_OF_MEMORY}]


def test_other_errors_are_not_reported_as_out_of_memory(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(job: Job) -> Iterator[Values]:
        raise RuntimeError("shapes do not fit")
        yield {}

    def refuse(job: Job) -> Iterator[Values]:
        raise SettingsError("No such model.", expected="a file", remedy="name one")
        yield {}

    with pytest.raises(RuntimeError, match="shapes"):
        serve("{}", fail)
    assert serve("{}", refuse) == 2
    assert "Remedy: name one" in capsys.readouterr().err


def test_require_returns_values_or_raises_the_failure() -> None:
    assert Outcome({"a": 1}).require() == {"a": 1}
    with pytest.raises(ReFLDMError, match=r"(?s)out of memory.*fewer references"):
        Outcome({}, OUT_OF_MEMORY).require()
    with pytest.raises(ReFLDMError, match="exit code 3"):
        Outcome({}, "exit code 3").require()
