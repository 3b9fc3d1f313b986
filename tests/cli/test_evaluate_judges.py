"""The recognizers and metrics of `refldm evaluate`: dlib, missing weights, pictures that a metric cannot judge."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from refldm_core.evaluation.identity import DLIB, open_identity_judge
from refldm_core.evaluation.metrics import embed_picture
from refldm_core.images import load_image

from ..face.dlib_stand_in import install
from .evaluations import read_findings, read_rows, read_summary

Evaluate = Callable[..., int]


def test_dlib_as_second_recognizer_measures_distances(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path)
    Path("references.csv").write_text(
        Path("references.csv").read_text(encoding="utf-8").replace("['a9.png']", "\"['a9.png', 'b9.png']\""),
        encoding="utf-8",
    )
    words = ("--references", "references.csv", "--second-recognizer", "dlib")
    assert evaluate(*words) == 0
    judge = open_identity_judge(DLIB)
    prediction, truth, *photos = (
        embed_picture(judge, np.asarray(load_image(Path(name))))[0].astype(np.float64)
        for name in ("good/a1.png", "truth/a1.png", "truth/a9.png", "truth/b9.png")
    )
    row = read_rows()["good", "a1.png"]
    assert float(row["ids_second"]) == pytest.approx(1.0 - np.linalg.norm(prediction - truth), abs=1e-6)
    distances = [np.linalg.norm(prediction - photo) for photo in photos]
    assert float(row["references_second"]) == pytest.approx(1.0 - np.mean(distances), abs=1e-6)
    report = Path("out/report.md").read_text(encoding="utf-8").splitlines()
    assert (
        "- IDS: judged by first.onnx. Similarity is the cosine of the embeddings of the published center crop."
        in report
    )
    (line,) = [line for line in report if line.startswith("- IDS, 2nd recognizer: judged by")]
    assert "judged by dlib's recognizer. Similarity is 1 - the Euclidean distance of dlib's descriptors" in line
    assert sum("cosine" in line for line in report) == 1
    assert evaluate(*words, "--resume") == 0, "the recognizer is the same"
    (tmp_path / "dlib_face_recognition_resnet_model_v1.dat").write_bytes(b"another network")
    assert evaluate(*words, "--resume") == 2


def test_reports_with_dlib_alone_mention_no_cosine(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path)
    assert evaluate("--references", "references.csv", "--recognizer", "dlib") == 0
    for report in ("report.md", "report.html"):
        assert "cosine" not in Path("out", report).read_text(encoding="utf-8")


def test_metric_without_weights_is_absent_with_a_reason(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    def create_metric(name: str, device: object) -> object:
        raise OSError("no network")

    monkeypatch.setattr(pyiqa, "create_metric", create_metric)
    metrics = ("--metrics", "psnr", "lpips", "fid", "ids_second")
    assert evaluate("--references", "references.csv", metrics=metrics) == 0
    summary = read_summary()
    assert set(summary["absent"]) == {"ids_second", "lpips", "fid"} and "no network" in summary["absent"]["lpips"]
    words = Path("out/report.md").read_text(encoding="utf-8")
    assert "| n/a |" in words and "LPIPS is not available: pyiqa could not get its weights (no network)." in words


def test_metric_without_a_value_is_a_finding_and_is_computed_again(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyiqa

    calls: list[str] = []

    class Picky:
        metric_mode = "NR"

        def __call__(self, picture: torch.Tensor) -> torch.Tensor:
            calls.append("niqe")
            if len(calls) == 1:
                raise AssertionError("too small\nfor this")
            return picture.mean() if len(calls) > 2 else torch.tensor(math.nan)

    def fid(first: str, second: str, **options: object) -> float:
        assert len(list(Path(first).iterdir())) == len(list(Path(second).iterdir())) == 7
        calls.append("fid")
        return 12.5

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: fid if name == "fid" else Picky())
    words = ("--references", "references.csv")
    assert evaluate(*words, metrics=("--metrics", "niqe", "fid")) == 0
    assert read_findings() == {("no value", "good", "a0.png"), ("no value", "poor", "a0.png")}
    summary = read_summary()
    assert [finding["detail"] for finding in summary["findings"]] == [
        "NIQE has no value (too small)",
        "NIQE has no value (it is not a number)",
    ]
    assert [method["means"]["niqe"]["pictures"] for method in summary["methods"]] == [6, 6]
    assert [method["sets"] for method in summary["methods"]] == [{"fid": 12.5}] * 2
    calls.clear()
    calls.extend(["niqe"] * 2)
    assert evaluate(*words, "--resume", metrics=("--metrics", "niqe", "fid")) == 0
    assert calls == ["niqe"] * 4, "known values are not computed again, also those of sets"
    assert not read_findings()
