"""`refldm restore` on video files. The networks are stand-ins, except for the tiny model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from refldm_core.cli import faces
from refldm_core.cli.main import main
from refldm_core.cli.people import FaceTools
from refldm_core.pipeline import Restorer
from refldm_core.video import restoration, segments
from refldm_core.video.parts import parts_folder
from refldm_core.video.reading import read_facts, read_video

from ..video.clips import SquareDetector, picture, sound_packets, stripe, write_clip
from ..weights import TinyFiles

Run = Callable[..., int]


@pytest.fixture
def restore(tiny: TinyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `refldm restore` in a folder with clip.mp4 of 20 frames, clip.mkv, me.png and the folder `out`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(segments, "SEGMENT", 8)
    monkeypatch.setattr(restoration, "SEGMENT", 8)
    monkeypatch.setattr(faces, "load_tools", lambda *args: FaceTools(SquareDetector(), None, None))
    write_clip(tmp_path / "clip.mp4", 20)
    Image.fromarray(picture(0)).save(tmp_path / "me.png")
    (tmp_path / "out").mkdir()

    def run(*words: str) -> int:
        return main(["restore", *words, "--model", str(tiny.ckpt), "--config", str(tiny.config), "--steps", "1"])

    return run


@pytest.fixture
def stripes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lets the model draw stripes. Returns the seeds of the faces."""
    seeds: list[int] = []

    def restore(self: Restorer, crops: Tensor, references: Sequence[object], of_faces: list[int], *_: object) -> Tensor:
        seeds.extend(of_faces)
        assert all(reference is not None for reference in references)
        return stripe(crops, [face for face in SquareDetector().detect(picture(0)) for _ in crops])

    monkeypatch.setattr(Restorer, "restore", restore)
    return seeds


def _report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_video_is_restored_with_its_sound(restore: Run, stripes: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert restore("clip.mp4", "--reference", "me.png", "--output", "new.mp4", "--json") == 0
    (report,) = _report(capsys)["restored"]
    assert {name: report[name] for name in ("input", "output", "frames", "found", "faces", "tracks")} == {
        **{"input": "clip.mp4", "output": "new.mp4"},
        **{"frames": 20, "found": 20, "faces": 20, "tracks": 1},
    }
    assert report["people"] == ["reference"] and report["notes"] == []
    assert report["seconds"] > 0 and report["fps"] == pytest.approx(20 / report["seconds"], rel=0.05)
    assert stripes == [2024] * 20, "the noise is the same in every frame"
    assert sound_packets(Path("new.mp4")) == sound_packets(Path("clip.mp4"))
    assert not parts_folder(Path("new.mp4")).exists()
    before, after = (next(read_video(Path(name))).picture.astype(int) for name in ("clip.mp4", "new.mp4"))
    change = np.abs(after - before).mean(axis=2)
    assert change[30:50, 18:38].mean() > 15.0 and change[85:].mean() < 3.0


def test_tiny_model_restores_a_video_of_another_kind(restore: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(Path("short.avi"), 3, audio="pcm_s16le")
    assert restore("short.avi", "--reference", "me.png", "--output", "out", "--json") == 0
    assert _report(capsys)["restored"][0]["output"] == str(Path("out/short.mp4"))
    assert len(list(read_video(Path("out/short.mp4")))) == 3


def test_pictures_and_videos_go_together(restore: Run, stripes: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    words = ("*.mp4", "me.png", "--reference", "out/ref.png", "--output", "out")
    Image.fromarray(picture(0)).save("out/ref.png")
    assert restore(*words) == 0
    assert {path.name for path in Path("out").iterdir()} == {"ref.png", "clip.mp4", "me.png"}
    assert restore(*words) == 2
    assert "exists already" in capsys.readouterr().err
    done = len(stripes)
    assert restore(*words, "--resume") == 0 and len(stripes) == done


def test_folder_gives_its_pictures_only_and_says_so(
    restore: Run, stripes: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("album").mkdir()
    Image.fromarray(picture(1)).save("album/a.png")
    write_clip(Path("album/b.mp4"), 1)
    capsys.readouterr()
    assert restore("album", "--reference", "me.png", "--output", "out") == 0
    assert "1 video in album is left out" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]


def test_interrupted_video_goes_on(
    restore: Run, stripes: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("clip.mp4", "--reference", "me.png", "--output", "new.mp4")
    original, calls = Restorer.restore, list[int]()

    def interrupt(self: Restorer, *args: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(Restorer, "restore", interrupt)
    assert restore(*words) == 130
    assert "new.mp4.parts keeps what was restored. The same command with --resume goes on" in capsys.readouterr().err
    assert restore(*words) == 2
    assert "new.mp4.parts holds an unfinished restoration" in capsys.readouterr().err
    assert restore(*words, "--resume", "--seed", "7") == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "made with the --seed 2024, and this run has 7" in message and "begin again" in message
    before = len(stripes)
    assert restore(*words, "--resume") == 0
    assert len(stripes) - before in (4, 12), "the first segment, or the first two, were finished"
    resumed = [frame.picture for frame in read_video(Path("new.mp4"))]
    assert restore(*words, "--overwrite") == 0
    assert all(np.array_equal(a.picture, b) for a, b in zip(read_video(Path("new.mp4")), resumed, strict=True))


def test_options_of_videos_count(restore: Run, stripes: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    still, moving = Path("still.mp4"), Path("moving.mp4")
    words = ("clip.mp4", "--reference", "me.png", "--output")
    assert restore(*words, str(still)) == 0
    assert restore(*words, str(moving), "--steadying", "0", "--landmark-averaging", "0", "--batch", "1") == 0
    frames = [[frame.picture for frame in read_video(path)] for path in (still, moving)]
    assert any(not np.array_equal(a, b) for a, b in zip(*frames, strict=True))
    assert restore(*words, "wide.mp4", "--steadying", "2") == 2
    assert "A steadying of 2.0" in capsys.readouterr().err
    assert read_facts(still).audio == ("aac",)


REFUSED = {
    "aligned": (("clip.mp4", "--aligned", "--output", "new.mp4"), "clip.mp4 is a video, and --aligned is for pictures"),
    "picture as result": (("clip.mp4", "--output", "new.png"), '"new.png" does not end in a video format'),
    "animation as input": (("me.gif", "--output", "new.mp4"), '"new.mp4" does not end in a picture format'),
    "no video": (("text.mp4", "--output", "new.mp4"), "text.mp4 cannot be read as a video"),
    "no face": (("dark.mp4", "--output", "new.mp4"), "No face was found in the 2 frames of dark.mp4"),
    "input as result": (("clip.mp4", "--output", "clip.mp4", "--overwrite"), "clip.mp4 is one of the inputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_input_is_an_error(case: str, restore: Run, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = REFUSED[case]
    Image.fromarray(picture(0)).save("me.gif")
    Path("text.mp4").write_text("no video", encoding="utf-8")
    write_clip(Path("dark.mp4"), 2, faces=0)
    assert restore(*words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("new.mp4").exists()


def test_video_without_a_face_is_copied_on_request(restore: Run) -> None:
    write_clip(Path("dark.mp4"), 2, faces=0)
    assert restore("dark.mp4", "--output", "new.mp4", "--skip-empty") == 0
    assert len(list(read_video(Path("new.mp4")))) == 2


def test_missing_package_is_an_error_with_the_remedy(
    restore: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert restore("clip.mp4", "--output", "new.mp4") == 2
    assert "pip install" in capsys.readouterr().err
