"""Restoration of whole files: segments without seams, the same result after a kill, memory, and errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor

from refldm_core.errors import OutputError, SettingsError
from refldm_core.face.errors import FaceError
from refldm_core.face.paste import PasteSettings
from refldm_core.face.types import Face, Faces
from refldm_core.video import parts as parts_module
from refldm_core.video import restoration, segments
from refldm_core.video.film import VideoReport, restore_video
from refldm_core.video.parts import Parts, parts_folder, require_no_parts
from refldm_core.video.reading import read_facts, read_video
from refldm_core.video.restoration import RestoreCrops, VideoSettings
from refldm_core.video.search import FaceFinder

from .clips import SquareDetector, sound_packets, stripe, write_clip

CROP = 64


def select_all(faces: Faces) -> Faces:
    return faces


def restore(
    source: Path,
    target: Path,
    restore_crops: RestoreCrops = stripe,
    *,
    resume: bool = False,
    detector: SquareDetector | None = None,
    record: dict[str, object] | None = None,
    settings: VideoSettings | None = None,
    **options: object,
) -> VideoReport:
    return restore_video(
        source,
        target,
        Parts(parts_folder(target), record or {}, resume=resume),
        FaceFinder(detector or SquareDetector()),
        restore_crops,
        crop_size=CROP,
        settings=settings or VideoSettings(),
        select=select_all,
        **options,  # type: ignore[arg-type]
    )


def pictures(path: Path) -> list[np.ndarray]:
    return [frame.picture for frame in read_video(path)]


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let segments have 8 frames."""
    _set_segment(monkeypatch, 8)


def _set_segment(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    monkeypatch.setattr(segments, "SEGMENT", frames)
    monkeypatch.setattr(restoration, "SEGMENT", frames)


def test_faces_change_and_everything_else_stays(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "clip.mp4", 20, faces=2), tmp_path / "out.mp4"
    stages: list[tuple[str, int, int | None]] = []
    report = restore(source, target, on_progress=lambda *progress: stages.append(progress))
    assert (report.frames, report.detected, report.faces, report.tracks) == (20, 40, 40, 2) and not report.remarks
    assert stages[:2] == [("finding faces", 1, 20), ("finding faces", 2, 20)] and stages[-1] == ("restoring", 20, 20)
    assert not parts_folder(target).exists()
    assert read_facts(target).rate == read_facts(source).rate
    assert sound_packets(target) == sound_packets(source)
    for k, (before, after) in enumerate(zip(pictures(source), pictures(target), strict=True)):
        change = np.abs(after.astype(int) - before).mean(axis=2)
        left = 8 + k % 30
        assert change[30:50, left + 10 : left + 30].mean() > 15.0, "the middle of the first face"
        assert change[85:].mean() < 4.0, "below the faces, compression alone"


def test_segments_have_no_seams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The crops that are restored, and so all averages, are equal to the bit in several segments and in one."""
    source = write_clip(tmp_path / "clip.mp4", 20)
    seen: dict[int, list[Tensor]] = {}
    for frames in (8, 100):
        _set_segment(monkeypatch, frames)
        crops = seen.setdefault(frames, [])

        def record(batch: Tensor, faces: Sequence[Face], crops: list[Tensor] = crops) -> Tensor:
            crops += list(batch)
            return stripe(batch, faces)

        restore(source, tmp_path / f"{frames}.mp4", record)
    assert len(seen[8]) == 20
    assert torch.equal(torch.stack(seen[8]), torch.stack(seen[100]))
    differences = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(pictures(tmp_path / "8.mp4"), pictures(tmp_path / "100.mp4"), strict=True)
    ]
    assert max(differences) < 2.0, "only the compression differs, since a segment begins with a key frame"


KILLED = """
import os, sys
from pathlib import Path
from tests.video.clips import SquareDetector, stripe
from tests.video import test_restoration as module
from refldm_core.video import restoration, segments
segments.SEGMENT = restoration.SEGMENT = 8
source, target, stage, frame = sys.argv[1:]
def kill(at, done, total):
    if at == stage and done == int(frame):
        os._exit(9)
module.restore(Path(source), Path(target), on_progress=kill)
"""


def test_killed_restoration_goes_on_to_the_same_video(tmp_path: Path, short_segments: None) -> None:
    source, target, uninterrupted = write_clip(tmp_path / "clip.mp4", 30), tmp_path / "out.mp4", tmp_path / "whole.mp4"
    words = [sys.executable, "-c", KILLED, str(source), str(target), "restoring", "19"]
    process = subprocess.run(words, env={**os.environ, "PYTHONPATH": "."}, cwd=Path(__file__).parents[2], check=False)
    assert process.returncode == 9 and not target.exists()
    finished = sorted(path.name for path in parts_folder(target).glob("*.nut"))
    assert finished[0] == "segment_000000.nut" and len(finished) in (1, 2)
    detector, count = SquareDetector(), 0

    def count_crops(crops: Tensor, faces: Sequence[Face]) -> Tensor:
        nonlocal count
        count += len(crops)
        return stripe(crops, faces)

    restore(source, target, count_crops, resume=True, detector=detector)
    assert detector.calls == 0, "the faces were found before the kill"
    assert count == 30 - 8 * len(finished)
    restore(source, uninterrupted)
    assert all(np.array_equal(a, b) for a, b in zip(pictures(target), pictures(uninterrupted), strict=True))
    assert sound_packets(target) == sound_packets(uninterrupted)
    assert not parts_folder(target).exists()


def test_interrupted_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refldm_core.video.search.SAVE_EVERY", 10)
    source, target = write_clip(tmp_path / "clip.mp4", 25), tmp_path / "out.mp4"

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(source, target, on_progress=interrupt)
    detector = SquareDetector()
    assert restore(source, target, resume=True, detector=detector).faces == 25
    assert detector.calls == 15


def test_other_settings_do_not_go_on(tmp_path: Path, short_segments: None) -> None:
    source, target = write_clip(tmp_path / "clip.mp4", 12), tmp_path / "out.mp4"

    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "restoring" and done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(source, target, record={"--seed": 1, "model": "a"}, on_progress=interrupt)
    with pytest.raises(OutputError, match="unfinished") as unfinished:
        require_no_parts(target)
    assert "--resume" in unfinished.value.remedy
    with pytest.raises(SettingsError, match="the --seed 1, and this run has 2") as caught:
        restore(source, target, record={"--seed": 2, "model": "b"}, resume=True)
    assert caught.value.expected == "the same --seed, model" and "--overwrite" in caught.value.remedy
    assert restore(source, target, record={"--seed": 1, "model": "a"}, resume=True).frames == 12


@pytest.mark.parametrize("stage", ["search", "restore", "write"])
def test_error_in_any_stage_ends_the_work_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_segments: None, stage: str
) -> None:
    source, target = write_clip(tmp_path / "clip.mp4", 30), tmp_path / "out.mp4"
    calls = 0

    def fail_later(work: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == 13:
                raise OSError(28, "No space left on device")
            return work(*args, **options)

        return run

    if stage == "search":
        monkeypatch.setattr(SquareDetector, "detect", fail_later(SquareDetector.detect))
    elif stage == "write":
        monkeypatch.setattr(segments.VideoWriter, "write", fail_later(segments.VideoWriter.write))
    else:
        monkeypatch.setattr(restoration, "align", fail_later(restoration.align))
    with pytest.raises((OSError, OutputError), match=r"No space left|no room"):
        restore(source, target)
    assert not target.exists() and not list(tmp_path.rglob(".refldm-*"))
    finished = [] if stage == "search" else ["segment_000000.nut"]
    assert [path.name for path in parts_folder(target).glob("*.nut")] == finished
    monkeypatch.undo()


def test_video_without_a_face_is_an_error_unless_allowed(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "clip.mp4", 6, faces=0), tmp_path / "out.mp4"
    with pytest.raises(FaceError, match="No face was found in the 6 frames"):
        restore(source, target)
    report = restore(source, target, allow_no_faces=True)
    assert report.faces == 0 and len(pictures(target)) == 6


def test_face_that_the_detector_missed_in_a_frame_is_restored_there_too(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "clip.mp4", 12)
    report = restore(source, tmp_path / "out.mp4", detector=SquareDetector(missed=(5, 6)))
    assert (report.detected, report.faces, report.tracks) == (10, 12, 1)


def test_frame_by_frame_and_enlarged(tmp_path: Path) -> None:
    settings = VideoSettings(steadying=0.0, landmark_averaging=0.0, paste=PasteSettings(upscale=2.0), batch=3)
    source = write_clip(tmp_path / "clip.mp4", 5)
    restore(source, tmp_path / "out.mp4", settings=settings)
    facts, original = read_facts(tmp_path / "out.mp4"), read_facts(source)
    assert facts.size == (2 * original.size[0], 2 * original.size[1])


@pytest.mark.parametrize("values", [(1.0, 2.0, 4), (0.5, -1.0, 4), (0.5, 2.0, 0)])
def test_unusable_settings_are_errors(values: tuple[float, float, int]) -> None:
    with pytest.raises(SettingsError, match="have no meaning"):
        VideoSettings(values[0], values[1], PasteSettings(), values[2])


def test_files_of_others_in_the_folder_of_the_parts_stay(tmp_path: Path) -> None:
    folder = parts_folder(tmp_path / "out.mp4")
    folder.mkdir()
    (folder / "letter.txt").write_text("dear", encoding="utf-8")
    Parts(folder, {}, resume=False).remove()
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]
    assert parts_module.parts_folder(Path("a/b.mp4")) == Path("a/b.mp4.parts")


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    """All 150 frames in memory would take 79 MiB more than the first 60, which fill queues and encoder."""
    source = write_clip(tmp_path / "clip.mp4", 150, audio=None, size=(480, 640), pix_fmt="yuv420p")
    memory: dict[tuple[str, int], float] = {}

    def measure(stage: str, done: int, total: int | None) -> None:
        memory[stage, done] = psutil.Process().memory_info().rss / 2**20

    restore(source, tmp_path / "out.mp4", on_progress=measure)
    for stage in ("finding faces", "restoring"):
        assert memory[stage, 150] - memory[stage, 60] < 40.0
