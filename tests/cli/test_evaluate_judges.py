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


def test_dlib_as_the_second_recognizer(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    Path("references.csv").write_text(
        Path("references.csv").read_text(encoding="utf-8").replace("['a9.png']", "\"['a9.png', 'b9.png']\""),
        encoding="utf-8",
    )
    words = ("--references", "references.csv", "--second-recognizer", "dlib")
    assert evaluate(*words) == 0
    judge = open_identity_judge(DLIB)
    own, truth, *photos = (
        embed_picture(judge, np.asarray(load_image(Path(name))))[0].astype(np.float64)
        for name in ("good/a1.png", "truth/a1.png", "truth/a9.png", "truth/b9.png")
    )
    row = read_rows()["good", "a1.png"]
    assert float(row["ids_second"]) == pytest.approx(1.0 - np.linalg.norm(own - truth), abs=1e-6)
    distances = [np.linalg.norm(own - photo) for photo in photos]
    assert float(row["references_second"]) == pytest.approx(1.0 - np.mean(distances), abs=1e-6)
    told = Path("out/report.md").read_text(encoding="utf-8").splitlines()
    assert (
        "- IDS: judged by first.onnx. Similarity is the cosine of the embeddings of the published center crop." in told
    )
    (line,) = [line for line in told if line.startswith("- IDS, 2nd recognizer: judged by")]
    assert "judged by dlib's recognizer. Similarity is 1 - the Euclidean distance of dlib's descriptors" in line
    assert sum("cosine" in line for line in told) == 1
    assert evaluate(*words, "--resume") == 0, "the same recognizer"
    (tmp_path / "dlib_face_recognition_resnet_model_v1.dat").write_bytes(b"another network")
    assert evaluate(*words, "--resume") == 2


def test_dlib_as_the_only_recognizer(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    assert evaluate("--references", "references.csv", "--recognizer", "dlib") == 0
    for report in ("report.md", "report.html"):
        assert "cosine" not in Path("out", report).read_text(encoding="utf-8")


def test_a_metric_without_weights_says_so(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    def create_metric(name: str, device: object) -> object:
        raise OSError("no network")

    monkeypatch.setattr(pyiqa, "create_metric", create_metric)
    wanted = ("--metrics", "psnr", "lpips", "fid", "ids_second")
    assert evaluate("--references", "references.csv", metrics=wanted) == 0
    told = read_summary()
    assert set(told["absent"]) == {"ids_second", "lpips", "fid"} and "no network" in told["absent"]["lpips"]
    words = Path("out/report.md").read_text(encoding="utf-8")
    assert "| n/a |" in words and "LPIPS is not available: pyiqa could not get its weights (no network)." in words


def test_a_metric_that_cannot_judge_a_picture(evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    asked: list[str] = []

    class Picky:
        metric_mode = "NR"

        def __call__(self, picture: torch.Tensor) -> torch.Tensor:
            asked.append("niqe")
            if len(asked) == 1:
                raise AssertionError("too small\nfor this")
            return picture.mean() if len(asked) > 2 else torch.tensor(math.nan)

    def fid(first: str, second: str, **options: object) -> float:
        assert len(list(Path(first).iterdir())) == len(list(Path(second).iterdir())) == 7
        asked.append("fid")
        return 12.5

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: fid if name == "fid" else Picky())
    words = ("--references", "references.csv")
    assert evaluate(*words, metrics=("--metrics", "niqe", "fid")) == 0
    assert read_findings() == {("no value", "good", "a0.png"), ("no value", "poor", "a0.png")}
    told = read_summary()
    assert [finding["detail"] for finding in told["findings"]] == [
        "NIQE has no value (too small)",
        "NIQE has no value (it is not a number)",
    ]
    assert [method["means"]["niqe"]["pictures"] for method in told["methods"]] == [6, 6]
    assert [method["sets"] for method in told["methods"]] == [{"fid": 12.5}] * 2
    asked.clear()
    asked.extend(["niqe"] * 2)
    assert evaluate(*words, "--resume", metrics=("--metrics", "niqe", "fid")) == 0
    assert asked == ["niqe"] * 4, "what is known is not computed again, of the sets neither"
    assert not read_findings()
