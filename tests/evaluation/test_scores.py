"""The table of scores: what a crash leaves, and that nothing is rounded."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from refldm_core.errors import OutputError
from refldm_core.evaluation import scores
from refldm_core.evaluation.scores import Row, Scores


def row(image: str, **values: float) -> Row:
    return Row("ours, with a comma", image, 'a "person"', "1" * 64, "2" * 64, values)


def test_what_is_written_while_the_work_goes_on_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "per_image.csv"
    table = Scores(path, resume=True)
    table.add(row("a.png", psnr=1 / 3))
    assert not path.exists(), "not after each picture"
    monkeypatch.setattr(scores, "_WRITE_INTERVAL", 0.0)
    table.add(row("b.png", psnr=math.inf, ids=-0.25))
    # No write() at the end: the process was killed here.
    again = Scores(path, resume=True).rows
    assert list(again.values()) == [row("a.png", psnr=1 / 3), row("b.png", psnr=math.inf, ids=-0.25)]
    assert not Scores(path, resume=False).rows


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "per_image.csv"
    Scores(path, resume=False).write()
    path.write_text(path.read_text(encoding="utf-8") + "ours,a.png,a,1,2,many" + "," * 7 + "\n", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot be read"):
        Scores(path, resume=True)
