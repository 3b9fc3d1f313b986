"""A short run of the kills command, and its own parts.

The imports are absolute, because the killed processes import the same modules by their names.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.kills.command import as_markdown, run
from tests.kills.jobs import JOBS, check_files
from tests.kills.killing import Killer, Record

QUICK = ("Save References", "restore --resume", "dataset build")


def test_killed_runs_are_continued_exactly() -> None:
    records = run(QUICK, kills=9, seed=1)
    assert [len(record.moments) for record in records.values()] == [3, 3, 3]
    assert all(record.is_clean for record in records.values()), as_markdown(records, "this test")


def test_half_files_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "b.json").write_text('{"a": ', encoding="utf-8")
    (tmp_path / "c.csv").write_text("a,b\n1", encoding="utf-8")
    (tmp_path / "d.safetensors").write_bytes(b"\0" * 20)
    (tmp_path / "e.odd").touch()
    (tmp_path / ".refldm-000000000000.part").touch()
    assert [text.partition(":")[0] for text in check_files(tmp_path)] == [
        *("a.png", "b.json", "c.csv", "d.safetensors", "e.odd")
    ]


def test_other_results_are_noticed(tmp_path: Path) -> None:
    killer = Killer(JOBS["Save References"], tmp_path, Random(0))
    killer._expected["latest.safetensors"] = "another hash"
    record = killer.kill(1)
    assert len(record.differing) == record.runs >= 1 and not record.is_clean


@pytest.mark.parametrize("kind", ["half_files", "failures", "differing"])
def test_the_report_has_every_failure(kind: str) -> None:
    report = as_markdown({"a job": Record(1.0, [0.1, 0.9], 1, **{kind: ["what went wrong"]})}, "command")
    assert "- what went wrong" in report and "| 1, 0, 0, 1 |" in report
