"""`refldm restore` on whole photos. The detector is the SCRFD class of insightface with weights that find toy faces."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.cli.main import main
from refldm_core.errors import CheckpointError
from refldm_core.pipeline import Restorer
from tests.face.toys import draw_face, save_arcface, save_scrfd

from ..weights import TinyFiles

Run = Callable[..., int]

SIZE, STEP = 96, 256


@pytest.fixture(scope="module")
def face_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "buffalo_l").mkdir()
    save_scrfd(folder / "buffalo_l" / "det_10g.onnx")
    save_arcface(folder / "buffalo_l" / "w600k_r50.onnx")
    return folder


@pytest.fixture
def restore(
    tiny: TinyFiles,
    face_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `refldm restore` in an empty folder with one step. Returns the exit code."""
    monkeypatch.chdir(tmp_path)
    models = ["--model", str(tiny.ckpt), "--config", str(tiny.config), "--face-models", str(face_models)]

    def run(*words: str) -> int:
        return main(
            [
                "restore",
                *words,
                *models,
                "--detector",
                "insightface",
                "--threshold",
                "0.5",
                "--smallest",
                "40",
                "--upright",
                "--steps",
                "1",
                "--json",
            ]
        )

    return run


def photo(path: Path, people: list[int], background: int = 127) -> None:
    """Save a photo with a row of toy faces.

    The brightness beside a face tells people apart. The toy detector does not see it.

    Args:
        path: File of the photo.
        people: A number for each face, which stands for the person and sets the brightness.
        background: Gray level of the background, 0 to 255.
    """
    picture = np.full((192, STEP * max(1, len(people)), 3), background, np.uint8)
    for i, person in enumerate(people):
        x = 96 + STEP * i
        draw_face(picture, (x, 96), SIZE)
        for side in (-70, 52):
            picture[48:144, x + side : x + side + 18] = 127 + 60 * person
    Image.fromarray(picture).save(path)


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_only_the_face_of_the_person_changes(restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo(tmp_path / "photo.png", [1, -1])
    photo(tmp_path / "me.png", [1])
    assert restore("photo.png", "--reference", "me.png", "--output", "out.png") == 0
    report = json.loads(capsys.readouterr().out)["restored"][0]
    assert report["found"] == 2
    assert [face["person"] for face in report["faces"]] == ["reference"]
    before, after = _pixels(tmp_path / "photo.png"), _pixels(tmp_path / "out.png")
    changed = np.abs(after - before).max(axis=2)
    assert changed[72:120, 72:120].mean() > 10, "the face of the person changes"
    assert (changed[:, STEP:] == 0).all(), "the face of the stranger does not change by a bit"


def test_each_face_gets_the_references_of_its_person(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [2, -2, 0, 1]
    photo(tmp_path / "group.png", order)
    for name, person in {"anna": -2, "ben": 0, "cem": 2}.items():
        (tmp_path / name).mkdir()
        photo(tmp_path / name / "one.png", [person])
        photo(tmp_path / name / "two.png", [person], background=120)
    people = [word for name in ("anna", "ben", "cem") for word in ("--person", f"{name}={name}")]
    assert restore("group.png", *people, "--output", "out.png", "--match", "0.985") == 0
    faces = json.loads(capsys.readouterr().out)["restored"][0]["faces"]
    person_at = {round((face["box"][0] + face["box"][2]) / 2 - 80) // STEP: face["person"] for face in faces}
    assert person_at == {0: "cem", 1: "anna", 2: "ben"}, "the fourth face is a stranger's, and unchanged"
    words = [*people, "--output", "all.png", "--match", "0.985", "--strangers", "restore"]
    assert restore("group.png", *words) == 0
    assert len(json.loads(capsys.readouterr().out)["restored"][0]["faces"]) == 4


def _album(folder: Path, count: int) -> None:
    folder.mkdir()
    (folder / "sub").mkdir()
    for i in range(count):
        photo(folder / ("sub" if i % 5 == 0 else "") / f"{i:02}.png", [1])


def test_damaged_picture_does_not_stop_a_folder_of_fifty(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _album(tmp_path / "album", 50)
    damaged = tmp_path / "album" / "31.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    (tmp_path / "out").mkdir()
    assert restore("album", "--output", "out") == 2
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert [Path(failure["input"]).name for failure in report["failed"]] == [
        "31.png"
    ] and "cannot be read" in captured.err
    written = {p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.png")}
    assert written == {p.relative_to(tmp_path / "album") for p in (tmp_path / "album").rglob("*.png")} - {
        Path("31.png")
    }
    assert len(written) == 49


def test_resumed_run_restores_only_the_rest(
    restore: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _album(tmp_path / "album", 6)
    (tmp_path / "out").mkdir()
    original_restore, calls = Restorer.restore, []

    def interrupt_third_call(self: Restorer, *args: object, **options: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original_restore(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Restorer, "restore", interrupt_third_call)
    assert restore("album", "--output", "out") == 130
    finished = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.png")}
    assert len(finished) == 2 and not list((tmp_path / "out").rglob(".*"))
    assert restore("album", "--output", "out") == 2
    assert "--resume" in capsys.readouterr().out
    assert restore("album", "--output", "out", "--resume") == 0
    assert len(json.loads(capsys.readouterr().out)["restored"]) == 4
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert restore("album", "--output", "out", "--resume") == 0
    assert json.loads(capsys.readouterr().out)["restored"] == []


def test_processes_share_the_pictures(restore: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _album(tmp_path / "album", 5)
    (tmp_path / "out").mkdir()
    counts: list[int] = []
    for rank in range(2):
        monkeypatch.setattr(os, "environ", {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"})
        assert restore("album/**/*.png", "--output", "out", "--resume") == 0
        counts.append(len(list((tmp_path / "out").rglob("*.png"))))
    assert counts == [3, 5]


def test_photo_without_a_face_is_an_error_unless_skipped(
    restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "empty.png", [])
    assert restore("empty.png", "--output", "out.png") == 2
    assert "No face was found" in capsys.readouterr().out and not (tmp_path / "out.png").exists()
    assert restore("empty.png", "--output", "out.png", "--skip-empty") == 0
    assert np.array_equal(_pixels(tmp_path / "out.png"), _pixels(tmp_path / "empty.png"))
    photo(tmp_path / "photo.png", [1])
    capsys.readouterr()
    assert restore("photo.png", "--reference", "empty.png", "--output", "out2.png") == 2
    assert "dropped empty.png: no face found" in capsys.readouterr().out


def test_missing_recognizer_and_face_number_are_errors(
    restore: Run, face_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo(tmp_path / "photo.png", [1, -1])
    photo(tmp_path / "me.png", [1])
    # Without a recognizer two people cannot be told apart.
    words = ["--person", "anna=me.png", "--person", "ben=photo.png", "--output", "out.png"]
    assert restore("photo.png", *words, "--recognizer", str(tmp_path / "no.onnx")) == 2
    assert "There is no no.onnx" in capsys.readouterr().out
    assert restore("photo.png", "--reference", "me.png", "--output", "out.png", "--faces", "7") == 2
    assert "no face number 7" in capsys.readouterr().out


BAD_OPTIONS = {
    "person and reference": (["--person", "anna=me.png", "--reference", "me.png"], "cannot go with --reference"),
    "person without a folder": (["--person", "anna"], "--person anna cannot be used"),
    "person twice": (["--person", "anna=me.png", "--person", "anna=me.png"], "the name is taken"),
    "faces": (["--faces", "first"], "is not a list of faces"),
    "feather": (["--feather", "0.9"], "feather 0.9"),
    "upscale": (["--upscale", "0"], "upscale 0.0"),
    "batch": (["--batch", "0"], "0 faces at once"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_unusable_option_is_an_error_before_any_work(
    case: str, restore: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, message = BAD_OPTIONS[case]
    photo(tmp_path / "me.png", [1])
    assert restore("me.png", "--output", "out.png", *words) == 2
    assert message in capsys.readouterr().out
    assert not (tmp_path / "out.png").exists()


def test_error_of_a_missing_file_names_the_download_command(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no detection_Resnet50_Final\.pth") as caught:
        load_detector("retinaface_resnet50", tmp_path)
    assert f"refldm download retinaface_resnet50 --folder {tmp_path}" in caught.value.remedy
    with pytest.raises(CheckpointError, match="no buffalo_l"):
        load_detector("insightface", tmp_path)
    with pytest.raises(CheckpointError, match="non-commercial"):
        load_recognizer(tmp_path / "rec.onnx")
