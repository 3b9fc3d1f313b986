"""The video benchmark: a report by hand, and a complete run of two steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.video import benchmark
from benchmarks.video.benchmark import main
from benchmarks.video.modes import DEGRADED, MODES, Mode, steadied_modes
from benchmarks.video.report import BASELINE, METRICS, describe
from refldm_core.diffusion.settings import SamplingSettings
from refldm_core.presets import PRESETS
from refldm_core.temporal import STEADY, TemporalSettings

from ..embedded import needs_embedded


def clip_scores(likeness: float) -> dict[str, float]:
    return {**dict.fromkeys(METRICS, 2.0), "likeness": likeness, "seconds": 0.5, "detected_share": 0.75}


def test_report_has_the_values_by_hand() -> None:
    people = {
        "1": {"severe": {BASELINE: clip_scores(0.5), "steady": clip_scores(0.6)}},
        "2": {"severe": {BASELINE: clip_scores(0.7), "steady": clip_scores(0.9)}},
    }
    about = {"frames": 4, "sampling": {"steps": 5, "sampler": "ddim"}}
    report = describe({"about": about, "people": people, "machine": "a machine"})
    assert "2 rendered people" in report and "clips of 4 frames" in report
    assert "The face was found in 75% of the frames." in report
    # The differences are 0.1 and 0.2.
    row = "| steady | 2.00 ± 0.00 | 2.00 ± 0.00 | 2.0000 ± 0.0000 | 0.750 ± 0.150 | 2.00 ± 0.00 | 2.00 ± 0.00 |"
    assert f"{row} +0.150 ± 0.050 | 0.50 |" in report


def test_modes_are_written_as_json() -> None:
    for mode in [*MODES.values(), *steadied_modes(["fast"]).values()]:
        assert json.loads(json.dumps(mode.as_json())) == mode.as_json()


def test_steadied_modes_sample_with_presets_and_with_settings() -> None:
    modes = steadied_modes(["fast", "dpmpp_2m:4:1.0"])
    assert [mode.sampling for mode in modes.values()] == [
        PRESETS["fast"].settings,
        SamplingSettings(4, "dpmpp_2m", guidance=1.0),
    ]
    assert all(mode.temporal == STEADY and mode.averaged for mode in modes.values())


@needs_embedded
def test_a_run_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modes = {BASELINE: Mode(new_noise=True), "steady": Mode(TemporalSettings(0.5, 0.5, 0.5))}
    monkeypatch.setattr(benchmark, "MODES", modes)
    monkeypatch.setattr(benchmark, "KINDS", ("severe",))
    monkeypatch.setattr(benchmark, "_SHEET_MODES", (DEGRADED, "steady"))
    words = ["--clips", str(tmp_path / "clips"), "--frames", "4", "--steps", "2", "--json", str(tmp_path / "v.json")]
    assert main([*words, "--people", "1", "--sheet", str(tmp_path / "v.png")]) == 0
    with Image.open(tmp_path / "v.png") as sheet:
        assert sheet.width > sheet.height / 2
    scores = json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))
    (person,) = scores["people"].values()
    copy = person["severe"]["truth through the first stage"]
    assert copy["likeness"] > person["severe"][DEGRADED]["likeness"] and person["severe"]["steady"]["seconds"] > 0
    assert main([*words, "--people", "1", "--resume", "--output", str(tmp_path / "v.md")]) == 0
    again = json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))
    assert again == scores
    assert "sampling" not in again["about"]["modes"][BASELINE]  # files of earlier versions can be continued
    assert "| steady |" in (tmp_path / "v.md").read_text(encoding="utf-8")
    assert main([*words, "--people", "1", "--resume", "--first-person", "1"]) == 2
    assert "not found under the same conditions" in capsys.readouterr().err
    assert main(["--clips", str(tmp_path / "clips"), "--people", "1", "--frames", "5"]) == 2
    assert "holds another clip" in capsys.readouterr().err
