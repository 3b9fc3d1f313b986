"""`refldm evaluate --video`: the flicker of video files, its reports, and errors."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from refldm_core.cli import evaluate_video
from refldm_core.cli.main import main
from refldm_core.demo.video_file import write_video
from refldm_core.errors import ImageFileError
from refldm_core.face.alignment import face_from_landmarks
from refldm_core.face.template import template
from refldm_core.face.types import Face, Landmarks5
from refldm_core.video.reading import read_frames

from ..face.toys import save_arcface

pytest.importorskip("av")

FRAMES, SIDE = 6, 128


class TwoFaces:
    """A detector that finds a face in the left and in the right half, where the picture is not black."""

    network = SimpleNamespace(metadata={})

    def detect(self, image: np.ndarray) -> list[Face]:
        halves = [image[:, :SIDE], image[:, SIDE:]]
        points = [Landmarks5(template(SIDE) + np.array([offset, 0.0])) for offset in (0, SIDE)]
        return [face_from_landmarks(p) for p, half in zip(points, halves, strict=True) if half.mean() > 30]


def clip(sigma: float = 0.0, frames: int = FRAMES) -> list[np.ndarray]:
    """Return frames of smooth content. Noise is in the left half only."""
    y, x = np.indices((SIDE, 2 * SIDE))
    still = np.stack([128 + 60 * np.sin(x / 17), 128 + 60 * np.cos(y / 13), 128 + 60 * np.sin((x + y) / 23)], axis=-1)
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(frames):
        noise = np.zeros(still.shape)
        noise[:, :SIDE] = random.normal(0, sigma, (SIDE, SIDE, 1)) if sigma else 0.0
        pictures.append(np.rint(still + noise).clip(0, 255).astype(np.uint8))
    return pictures


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `refldm evaluate` in a folder with truth.mp4, same.mp4 and noisy.mp4, with results in `out`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate_video, "load_detector", lambda *args: TwoFaces())
    for name, sigma in (("truth", 0.0), ("same", 0.0), ("noisy", 12.0)):
        write_video(clip(sigma), Path(name), 12.0)
    save_arcface(tmp_path / "r.onnx")

    def run(*words: str) -> int:
        return main(["evaluate", "--output", "out", "--recognizer", "r.onnx", *words])

    return run


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_flicker_of_each_face_is_written(judge: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert judge("--video", "same=same.mp4", "noisy=noisy.mp4", "--truth", "truth.mp4") == 0
    assert "| noisy | 2 |" in capsys.readouterr().out
    with Path("out/per_face.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["method"], int(row["face"])): row for row in csv.DictReader(file)}
    assert list(rows) == [("same", 0), ("same", 1), ("noisy", 0), ("noisy", 1)]
    assert all(row["frames"] == str(FRAMES) and row["pairs"] == str(FRAMES - 1) for row in rows.values())
    # The codec takes some of the noise away.
    assert 6.0 < float(rows["noisy", 0]["deviation"]) < 13.0 and float(rows["noisy", 1]["deviation"]) < 1.5
    assert float(rows["noisy", 0]["excess_warping_error"]) > 5.0
    assert all(float(rows["same", face]["deviation"]) == 0.0 for face in (0, 1))
    assert all(float(rows["same", face]["identity_drift"]) == 0.0 for face in (0, 1))
    summary = json.loads(Path("out/summary.json").read_text(encoding="utf-8"))
    same, noisy = summary["methods"]
    assert summary["frames"] == FRAMES and same["likeness"] == pytest.approx(1.0)
    expected = np.mean([float(rows["noisy", face]["deviation"]) for face in (0, 1)])
    assert noisy["deviation"] == pytest.approx(expected) and len(summary["faces"]) == 4
    assert "| noisy | 2 |" in Path("out/report.md").read_text(encoding="utf-8")


def test_results_are_replaced_only_on_request(judge: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--video", "same.mp4", "--truth", "truth.mp4")
    assert judge(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["methods"][0]["method"] == "same.mp4"
    assert judge(*words) == 2
    assert "out holds an evaluation already" in error_of(capsys)
    assert judge(*words, "--overwrite") == 0


def test_videos_that_do_not_match_are_refused(judge: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    write_video(clip(frames=FRAMES - 1), Path("short"), 12.0)
    write_video([frame[:, :SIDE] for frame in clip()], Path("narrow"), 12.0)
    write_video([np.zeros_like(frame) for frame in clip()], Path("black"), 12.0)
    Path("text.mp4").write_text("no video", encoding="utf-8")
    refused = {
        ("short.mp4", "truth.mp4"): f"short.mp4 ends after {FRAMES - 1} frames, and truth.mp4 has more",
        ("truth.mp4", "short.mp4"): f"short.mp4 ends after {FRAMES - 1} frames, and truth.mp4 has more",
        ("narrow.mp4", "truth.mp4"): "narrow.mp4 has 128x128 pixels, and truth.mp4 has 256x128",
        ("same.mp4", "black.mp4"): "No face is in 3 consecutive frames of black.mp4, which has 6 frames",
        ("text.mp4", "truth.mp4"): "text.mp4 cannot be read as a video",
        ("same.mp4", "missing.mp4"): "missing.mp4",
    }
    for (video, truth), message in refused.items():
        assert judge("--video", video, "--truth", truth, "--overwrite") == 2
        assert message in error_of(capsys)


def test_pictures_and_videos_are_not_mixed(judge: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    refused = {
        ("--video", "same.mp4"): "--truth must be set",
        ("--predictions", "same"): "--ground-truth must be set",
        (): "--predictions and --ground-truth must be set",
        ("--video", "a.mp4", "--truth", "b.mp4", "--predictions", "c"): "--predictions is of pictures",
    }
    for words, message in refused.items():
        assert judge(*words) == 2
        assert message in error_of(capsys)


def test_frames_are_those_that_were_written(tmp_path: Path) -> None:
    """Lossy compression changes a smooth picture by few gray levels."""
    frames = clip()
    path = write_video(frames, tmp_path / "clip", 12.0)
    read = list(read_frames(path))
    assert len(read) == FRAMES and read[0].dtype == np.uint8
    assert np.abs(read[0].astype(float) - frames[0]).mean() < 3.0
    with pytest.raises(ImageFileError, match="cannot be read as a video"):
        list(read_frames(tmp_path / "missing.mp4"))
