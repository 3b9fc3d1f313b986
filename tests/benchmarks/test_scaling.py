"""The scaling benchmark: its points, a point that fails, resuming, and its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.common.fresh_process import OUT_OF_MEMORY, Job, Outcome, Values
from benchmarks.scaling import benchmark as scaling
from benchmarks.scaling.benchmark import chosen_axes, measure
from benchmarks.scaling.report import AXES, Point, Scaling, draw, render
from refldm_core.model.reference import ReferenceKV

BASE = Point(references=4, steps=10, batch=1, size=512)
SECONDS = {"step": 2.0, "encode_references": 3.0, "whole": 30.0}
MEASURED = {**SECONDS, "step_peak_bytes": 10**9, "whole_peak_bytes": 3 * 10**9}


def test_axes_vary_one_value_of_the_base() -> None:
    axes = chosen_axes(BASE, list(AXES), quick=False)
    assert [point.references for point in axes["references"]] == [1, 2, 4, 8]
    assert [point.batch for point in axes["batch"]] == [1, 2, 4, 8, 16]
    assert [point.size for point in axes["size"]] == [256, 512, 768, 1024]
    assert all(asdict(point) | {"steps": 10} == asdict(BASE) for point in axes["steps"])
    points = Scaling({}, BASE, axes).points()
    assert points.count(BASE) == 1
    assert len(points) == 4 + 4 + 5 + 4 - 3


def test_values_of_a_point_are_reported_in_order(random_model: Path) -> None:
    job: Job = {"model": str(random_model), "dtype": "float32", "device": "cpu", "repeats": 1}
    reports = list(measure({**job, "references": 2, "steps": 2, "batch": 2, "size": 64}))
    # Reported one after the other, so that a later failure keeps the earlier values.
    assert [list(values) for values in reports] == [
        ["loaded_peak_bytes"],
        ["step", "step_peak_bytes"],
        ["encode_references", "restore", "whole", "whole_peak_bytes"],
    ]
    _, step, whole = reports
    assert 0 < step["step"] < whole["restore"] < whole["whole"]
    assert whole["whole"] == pytest.approx(whole["restore"] + whole["encode_references"])
    assert whole["whole_peak_bytes"] >= step["step_peak_bytes"]


def test_fewer_reference_tokens_reach_the_sampler(random_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves: list[ReferenceKV] = []
    half = ReferenceKV.with_half_the_tokens
    monkeypatch.setattr(ReferenceKV, "with_half_the_tokens", lambda kv: halves.append(half(kv)) or halves[-1])
    job: Job = {"model": str(random_model), "dtype": "float32", "device": "cpu", "repeats": 1, "references": 2}
    list(measure({**job, "steps": 2, "batch": 1, "size": 64}))
    assert not halves
    list(measure({**job, "steps": 2, "batch": 1, "size": 64, "reference_tokens": "half"}))
    assert len(halves) == 2, "the steps alone, and the whole restoration"


def run_benchmark(monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> tuple[int, list[Job]]:
    jobs: list[Job] = []

    def run_fresh(module: str, job: Job, environment: Mapping[str, str] | None = None) -> Outcome:
        jobs.append(job)
        return Outcome({"step": 2.0}, OUT_OF_MEMORY) if job["references"] == 8 else Outcome({**MEASURED})

    monkeypatch.setattr(scaling, "run_fresh", run_fresh)
    all_options = [
        "--tiny",
        "--quick",
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--json",
        str(folder / "s.json"),
        *options,
    ]
    monkeypatch.setattr("sys.argv", ["scaling", *all_options])
    return scaling.main(), jobs


def test_a_failed_point_is_reported_and_a_run_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = ["--output", str(tmp_path / "s.md"), "--plot", str(tmp_path / "s.png")]
    status, jobs = run_benchmark(monkeypatch, tmp_path, "--axis", "references", *output)
    assert (status, [job["references"] for job in jobs]) == (0, [1, 8])
    report = (tmp_path / "s.md").read_text(encoding="utf-8")
    assert "| 1 | 2 s | 30 s | 3 s | 1 GB | 3 GB |" in report
    assert "| 8 | 2 s | out of memory | out of memory | out of memory | out of memory |" in report
    assert "with 8 references / a step with 1 = **1**" in report
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.format == "PNG"

    # The run of all axes measures only the points that the file does not have.
    status, jobs = run_benchmark(monkeypatch, tmp_path, "--resume")
    assert status == 0
    assert all(job["references"] == 4 for job in jobs)
    assert len(json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["points"]) == 2 + len(jobs)

    for other in (["--repeats", "2"], ["--reference-tokens", "half"]):
        status, jobs = run_benchmark(monkeypatch, tmp_path, "--resume", *other)
        assert (status, jobs) == (2, [])
        assert "other settings" in capsys.readouterr().err

    (tmp_path / "s.json").write_text("[]", encoding="utf-8")
    status, jobs = run_benchmark(monkeypatch, tmp_path, "--resume")
    assert (status, jobs) == (2, [])
    assert "cannot be read" in capsys.readouterr().err


def test_report_and_plots_by_hand() -> None:
    axes = chosen_axes(BASE, list(AXES), quick=False)
    values_of_points: dict[Point, Values] = {point: {**MEASURED} for points in axes.values() for point in points}
    values_of_points[BASE.at("references", 8)]["step"] = 2.6
    largest = BASE.at("size", 1024)
    values_of_points[largest] = {"failure": OUT_OF_MEMORY}
    measured = Scaling({"machine": "M", "torch": "2", "dtype": "float32", "repeats": 3}, BASE, axes, values_of_points)
    report = render(measured)
    assert "= **1.3**; each one more adds 0.0857 s, 4.3% of a step with the first." in report
    assert "| 16 | 2 s | 30 s | 3 s | 1 GB | 3 GB | 0.125 s | 1.88 s |" in report
    assert f"| 1024 |{f' {OUT_OF_MEMORY} |' * 5}" in report

    plots = draw(measured).axes
    assert len(plots) == 2 * 4
    assert [plot.get_xlabel() for plot in plots[:4]] == list(AXES.values())
    seconds, _ = plots[0].lines[:2]
    assert list(seconds.get_ydata()) == [2.0, 2.0, 2.0, 2.6]
    assert [text.get_text().strip() for text in plots[3].texts] == [OUT_OF_MEMORY]
    assert len(plots[3].lines[0].get_xdata()) == 3  # the failed point is not drawn
