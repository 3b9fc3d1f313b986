"""`refldm evaluate` continues an interrupted evaluation, and judges only what is new or has changed."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from refldm_core.evaluation import target_judge

from .evaluations import ALL, add_noise, read_rows, read_summary, smooth_picture

Evaluate = Callable[..., int]


def test_resumed_run_judges_only_missing_and_changed_files(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*ALL) == 0
    complete = Path("out/per_image.csv").read_bytes()
    results = read_summary()
    shutil.rmtree("out")

    judged: list[str] = []
    load_image = target_judge.load_image

    def load_and_count(path: Path) -> Image.Image:
        if path.parent.name in ("good", "poor"):
            judged.append(f"{path.parent.name}/{path.name}")
            if len(judged) == 6:
                raise KeyboardInterrupt
        return load_image(path)

    monkeypatch.setattr(target_judge, "load_image", load_and_count)
    assert evaluate(*ALL) == 130
    assert len(read_rows()) == 5, "the interrupted run keeps its finished rows"
    assert evaluate(*ALL) == 2
    assert "holds an evaluation already" in capsys.readouterr().err
    assert evaluate(*ALL, "--resume") == 0
    assert len(judged) == 6 + 9 and len(set(judged)) == 14, "only the interrupted picture is judged twice"
    assert Path("out/per_image.csv").read_bytes() == complete
    assert read_summary() == results

    judged.clear()
    add_noise(smooth_picture(0), 5, 0).save("good/a0.png")
    judged.extend(["later"] * 6)
    assert evaluate(*ALL, "--resume") == 0
    assert judged[6:] == ["good/a0.png"], "a changed file is judged again"
    assert read_rows()["poor", "a0.png"]["psnr"] == _cell(complete, "poor", "a0.png", "psnr")
    assert read_rows()["good", "a0.png"]["psnr"] != _cell(complete, "good", "a0.png", "psnr")

    shutil.copy("second.onnx", "first.onnx")
    assert evaluate(*ALL, "--resume") == 2
    assert "other recognizers: ids" in capsys.readouterr().err
    assert evaluate(*ALL, "--overwrite") == 0


def _cell(table: bytes, method: str, image: str, column: str) -> str:
    lines = csv.DictReader(table.decode().splitlines())
    return next(row[column] for row in lines if (row["method"], row["image"]) == (method, image))


def test_resumed_run_adds_methods_and_metrics(evaluate: Evaluate) -> None:
    references = ("--references", "references.csv")
    assert evaluate(*references, predictions=("good",), metrics=("--metrics", "psnr")) == 0
    before = read_rows()["good", "a0.png"]["psnr"]
    assert evaluate(*references, "--resume", "--baseline", "poor") == 0
    assert read_rows()["good", "a0.png"]["psnr"] == before and read_rows()["good", "a0.png"]["ids"]
    assert {comparison["method"] for comparison in read_summary()["comparisons"]} == {"good"}


def test_file_with_another_table_is_not_replaced(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*ALL, metrics=("--metrics", "psnr")) == 0
    Path("out/per_image.csv").write_text("name,age\nanna,7\n", encoding="utf-8")
    assert evaluate(*ALL, "--resume", metrics=("--metrics", "psnr")) == 2
    assert "another table" in capsys.readouterr().err
    assert Path("out/per_image.csv").read_text(encoding="utf-8") == "name,age\nanna,7\n"
