"""The table of scores: it survives a crash, and rounds no number."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from refldm_core.errors import OutputError
from refldm_core.evaluation import scores
from refldm_core.evaluation.scores import Row, Scores


def row(image: str, **values: float) -> Row:
    return Row("ours, with a comma", image, 'a "person"', "1" * 64, "2" * 64, values)


def test_rows_written_during_the_work_survive_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "per_image.csv"
    table = Scores(path, resume=True)
    table.add(row("a.png", psnr=1 / 3))
    assert not path.exists(), "the file is not written after each picture"
    monkeypatch.setattr(scores, "_WRITE_INTERVAL", 0.0)
    table.add(row("b.png", psnr=math.inf, ids=-0.25))
    # There is no write() at the end, as in a process that was killed.
    rows = Scores(path, resume=True).rows
    assert list(rows.values()) == [row("a.png", psnr=1 / 3), row("b.png", psnr=math.inf, ids=-0.25)]
    assert not Scores(path, resume=False).rows


def test_unreadable_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "per_image.csv"
    Scores(path, resume=False).write()
    path.write_text(path.read_text(encoding="utf-8") + "ours,a.png,a,1,2,many" + "," * 7 + "\n", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be read"):
        Scores(path, resume=True)
