"""`refldm evaluate` with a toy recognizer on small pictures: scores, comparisons and reports."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from refldm_core.face.identity import ArcFaceRecognizer, published_crop
from refldm_core.images import load_image, u8_to_tensor

from .evaluations import ALL, read_rows, read_summary

Evaluate = Callable[..., int]


def test_scores_and_comparisons_equal_direct_computations(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*ALL, "--seconds", "good=1.5") == 0
    printed = capsys.readouterr().out
    assert "| good | 7 | 6 |" in printed and "1.50" in printed
    table = read_rows()
    assert len(table) == 14 and table["good", "a1.png"]["person"] == table["good", "a0.png"]["person"]

    def embedding(path: str, recognizer: ArcFaceRecognizer) -> np.ndarray:
        picture = u8_to_tensor(torch.tensor(np.asarray(load_image(Path(path)))).movedim(-1, 0))
        return recognizer.embed(published_crop(picture[None]))[0].astype(np.float64)

    for column, likeness, file in (
        ("ids", "references", "first.onnx"),
        ("ids_second", "references_second", "second.onnx"),
    ):
        recognizer = ArcFaceRecognizer(Path(file))
        prediction = embedding("good/a1.png", recognizer)
        row = table["good", "a1.png"]
        assert float(row[column]) == pytest.approx(prediction @ embedding("truth/a1.png", recognizer), abs=1e-6)
        assert float(row[likeness]) == pytest.approx(prediction @ embedding("truth/a9.png", recognizer), abs=1e-6)

    summary = read_summary()
    good, poor = summary["methods"]
    assert good["means"]["psnr"]["mean"] == pytest.approx(
        np.mean([float(row["psnr"]) for (method, _), row in table.items() if method == "good"])
    )
    assert good["means"]["psnr"]["low"] < good["means"]["psnr"]["mean"] < good["means"]["psnr"]["high"]
    assert good["seconds"] == 1.5 and poor["seconds"] is None
    compared = {comparison["metric"]: comparison for comparison in summary["comparisons"]}
    # All six people are worse, which gives the smallest possible p. Holm multiplies the smallest of six p-values by 6.
    assert compared["psnr"]["p"] == pytest.approx(2 / 2**6) and compared["psnr"]["difference"]["mean"] < 0
    assert compared["psnr"]["p_holm"] == pytest.approx(6 * 2 / 2**6)
    assert compared["psnr"]["method"] == "poor" and compared["psnr"]["share"] == 0.0


def test_reports_are_self_contained_and_complete(evaluate: Evaluate) -> None:
    assert evaluate(*ALL) == 0
    page = Path("out/report.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(links) > 20 and all(link.startswith("data:image/png;base64,") for link in links), "self-contained"
    assert "**" not in page and page.count("<b>") == 6
    assert re.search(r"<b>1\.000</b>\s*<small>\[1\.000, 1\.000\]</small>", page)
    words = Path("out/report.md").read_text(encoding="utf-8")
    assert "## Differences" in words and "Best and worst" in words and "Every picture was judged" in words
    assert "IDS, 2nd recognizer \u2191" in words and "95% interval" in words
    assert words.count("**") == 2 * 6, "the best value of each column is marked"


def test_without_a_csv_every_picture_is_a_person_of_its_own(evaluate: Evaluate) -> None:
    for name in "abcdef":
        Path(f"truth/{name}9.png").unlink()
    assert evaluate(metrics=("--metrics", "psnr")) == 0
    assert [method["people"] for method in read_summary()["methods"]] == [7, 7]


def test_seconds_are_read_from_reports_of_restore_and_benchmark_table(evaluate: Evaluate) -> None:
    entries = [{"seconds": 3.0, "faces": [{}, {}]}, {"seconds": 2.5}]
    Path("restored.json").write_text(json.dumps({"restored": entries}), encoding="utf-8")
    Path("table.csv").write_text("method,seconds\npoor,1\npoor,2\nother,9\n", encoding="utf-8")
    psnr = ("--metrics", "psnr")
    assert (
        evaluate("--references", "references.csv", "--seconds", "good=restored.json", "poor=table.csv", metrics=psnr)
        == 0
    )
    assert [method["seconds"] for method in read_summary()["methods"]] == [2.0, 1.5]
