"""The speed benchmark: its variants restore the same face, and its report is checked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.common.fresh_process import Job
from benchmarks.common.measuring import open_restorer, pictures
from benchmarks.speed import benchmark as speed
from benchmarks.speed.benchmark import gray_levels, measure
from benchmarks.speed.report import VariantResult, difference, render
from benchmarks.speed.stages import Stages
from refldm_core.pipeline import PUBLISHED_SEED, SamplingSettings

from .conftest import in_process

QUICK = ["--tiny", "--references", "2", "--steps", "2", "--rounds", "2", "--repeats", "1", "--device", "cpu"]


def test_every_round_measures_all_variants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs: list[Job] = []
    monkeypatch.setattr(speed, "run_fresh", in_process(measure, jobs))
    files = ["--json", str(tmp_path / "r.json"), "--output", str(tmp_path / "r.md")]
    monkeypatch.setattr("sys.argv", ["speed", *QUICK, *files, "--save-pictures", str(tmp_path / "pictures")])
    assert speed.main() == 0

    # Every round runs all variants, instead of all rounds of one variant.
    assert [job["dtype"] for job in jobs] == ["float32", "float32", "bfloat16"] * 2
    measured = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    published, ours = measured["published"], measured["ours float32"]
    assert len(published["whole"]) == len(published["seconds"]["step"]) == 2
    assert published["peak_flops"] > 0
    # The published procedure encodes a null for each of 2 references, ours one for both. Ours may end passes early.
    assert ours["flops"]["reference passes"] <= 3 / 4 * published["flops"]["reference passes"]
    assert 0 < ours["flops"]["step"] < published["flops"]["step"]
    assert 0 < ours["flops"]["decode"] <= published["flops"]["decode"]
    assert (tmp_path / "r.md").read_text(encoding="utf-8") in capsys.readouterr().out
    assert {path.stem for path in (tmp_path / "pictures").iterdir()} == set(measured)


def test_variants_restore_the_same_face(random_model: Path) -> None:
    restored: dict[str, torch.Tensor] = {}
    for procedure in ("published", "ours"):
        restorer = open_restorer(random_model, "float32", "cpu")
        lq, references = pictures(restorer.spec.crop_size, 2)
        restored[procedure] = Stages(restorer, procedure, lq, references).whole(3)  # type: ignore[arg-type]
    # A few codes of the random codebook may flip; most of the picture is equal to a hundredth of a gray level.
    differences = np.abs(gray_levels(restored["published"]) - gray_levels(restored["ours"]))
    assert np.median(differences) < 0.01
    # The stages of the benchmark restore what the package restores.
    restorer = open_restorer(random_model, "float32", "cpu")
    kv = restorer.encode_references(references)
    expected = restorer.restore(lq, kv, [PUBLISHED_SEED], SamplingSettings(3))
    assert np.median(np.abs(gray_levels(expected) - gray_levels(restored["ours"]))) < 0.01


def test_unwritable_report_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["speed", *QUICK, "--output", str(tmp_path / "nowhere" / "r.md")])
    assert speed.main() == 2
    assert "Remedy:" in capsys.readouterr().err


def test_gray_levels_are_clamped_and_not_rounded() -> None:
    picture = torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0, 0.5]).reshape(1, 3, 1, 2)
    assert gray_levels(picture).tolist() == [[[0.0, 127.5, 255.0], [0.0, 255.0, 191.25]]]
    assert difference(np.array([[1.0, 2.0]], "float32"), np.array([[1.5, 0.5]], "float32")) == "1, 1.5"


def test_report_by_hand() -> None:
    def variant(dtype: str, step: float, whole: float, peak: float) -> VariantResult:
        flops = {"encode LQ": 10**12, "step": 2 * 10**12}
        return VariantResult(dtype, 512, 5, flops, {"encode LQ": [2.0], "step": [step]}, [whole], 3 * 10**9, peak)

    fast = variant("float32", 1.0, 11.0, 4e12).merged(variant("float32", 3.0, 5.5, 2e12))
    assert (fast.seconds["step"], fast.whole, fast.peak_flops) == ([1.0, 3.0], [11.0, 5.5], 4e12)
    measured = {
        "published": variant("float32", 4.0, 22.0, 1e12),
        "ours": fast,
        "half": variant("bfloat16", 1.0, 5.5, 8e12),
    }
    black, gray = np.zeros((2, 2, 3), np.float32), np.full((2, 2, 3), 2.0, np.float32)
    lines = render(measured, {"published": black, "ours": black.copy(), "half": gray}, ["About."]).splitlines()
    assert "| step | 4 s (2 TFLOP) | 2 s (2 TFLOP) | 1 s (2 TFLOP) |" in lines
    assert "| times as fast | 1.00 | 2.67 | 4.00 |" in lines  # 22 / 8.25, 22 / 5.5
    assert "| operations | 11 TFLOP | 11 TFLOP | 11 TFLOP |" in lines
    # The published variant shares the peak rate that the process of the other float32 variant reached.
    assert "| step | 0.5 TFLOP/s (12%) | 1 TFLOP/s (25%) | 2 TFLOP/s (25%) |" in lines
    assert "| published |  | 0, 0 | 2, 2 |" in lines
    assert "| ours | 0, 0 |  | 2, 2 |" in lines
