"""The benchmark of an album counts each second once, and watches functions that exist."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from benchmarks.album.benchmark import report
from benchmarks.album.clock import REMAINING, StageClock
from benchmarks.album.stages import WATCHED
from refldm_core.face.search import Search


def test_a_stage_inside_another_one_is_counted_only_for_itself() -> None:
    clock = StageClock()
    with clock.stage("outer"):
        time.sleep(0.02)
        with clock.stage("inner"):
            time.sleep(0.05)
        with clock.stage("part", unless_in="outer"):
            time.sleep(0.02)
    clock.charge()
    assert set(clock.wall) == {REMAINING, "outer", "inner"}
    assert clock.wall["inner"] == pytest.approx(0.05, abs=0.03)
    assert clock.wall["outer"] >= 0.04
    assert clock.processor["inner"] < 0.04, "sleeping takes no processor time"


def test_calls_of_a_watched_function_are_counted_and_its_errors_pass() -> None:
    def fail(value: int) -> int:
        time.sleep(0.01)
        return 1 // value

    clock, module = StageClock(), SimpleNamespace(function=fail)
    clock.watch(module, "function", "division")
    assert module.function(1) == 1
    with pytest.raises(ZeroDivisionError):
        module.function(0)
    assert clock.wall["division"] >= 0.02


def test_all_watched_functions_exist() -> None:
    """In an earlier checkout a missing one raises an error too, so that no stage is silently empty."""
    assert [f"{owner}.{name}" for owner, name, _ in WATCHED if not callable(getattr(owner, name, None))] == []
    assert callable(Search._find_in_overview) and callable(Search._find_in_windows)


def test_the_report_adds_up_what_is_not_the_network() -> None:
    text = report(
        {"now, wall": {"detection: upright": 1.0, "detection: turned": 2.0, "sampling": 4.0, "writing": 8.0}}, 1
    )
    assert "| all detection | 3.00 |" in text
    assert "| **not the network** | 11.00 |" in text
    assert "| the restorer's network | 4.00 |" in text and "| everything | 15.00 |" in text
