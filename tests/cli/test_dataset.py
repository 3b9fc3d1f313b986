"""`refldm dataset` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.cli import dataset as command
from refldm_core.cli.main import main
from refldm_core.data.ffhq_ref import check_ffhq_ref

from ..data.photos import PEOPLE, ByColor, color_reader, drawn, write_flat
from ..data.small_ffhq import LISTED, SIZES, write_ffhq_ref
from ..embedded import needs_embedded


@pytest.fixture
def recognizer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ByColor:
    """In a folder with photos/0_0.png ..., known by their color."""
    monkeypatch.chdir(tmp_path)
    write_flat(tmp_path / "photos")
    recognizer = ByColor()
    monkeypatch.setattr(command, "_reader", lambda *_: color_reader(recognizer))
    return recognizer


def test_build(recognizer: ByColor, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "build", "photos", "--output", "out", "--test", "2"]) == 0
    told = capsys.readouterr().out
    assert "24 faces of 6 people in 24 photos." in told
    assert "test: 8 targets, 8 pictures of 2 people" in told
    assert "report.md" in told
    assert main(["dataset", "build", "photos", "--output", "out", "--test", "2", "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["splits"]["test"]["people"] == 2 and captured.err == ""
    assert len(recognizer.seen) == 24


def test_build_into_a_folder_inside(recognizer: ByColor) -> None:
    for _ in range(2):
        assert main(["dataset", "build", "photos", "--output", "photos/dataset"]) == 0
    assert len(recognizer.seen) == 24, "what was written is not taken for photos"


def test_build_interrupted(
    recognizer: ByColor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_reader", lambda *_: color_reader(ByColor(stop_at=5)))
    assert main(["dataset", "build", "photos", "--output", "out"]) == 130
    assert "Interrupted" in capsys.readouterr().err
    monkeypatch.setattr(command, "_reader", lambda *_: color_reader(recognizer))
    assert main(["dataset", "build", "photos", "--output", "out"]) == 0
    assert len(recognizer.seen) == 19


def test_the_test_sets_are_those_of_degrade(recognizer: ByColor) -> None:
    assert main(["dataset", "build", "photos", "--output", "out"]) == 0
    assert main(["degrade", "out/images", "--output", "low", "--kind", "severe"]) == 0
    made = sorted(Path("out/test_images/severe_degrad").glob("*.png"))
    assert made
    for path in made:
        assert (np.asarray(Image.open(path)) == np.asarray(Image.open(Path("low") / path.name))).all()


@needs_embedded
def test_build_with_the_embedded_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for who in PEOPLE[:2]:
        for which in range(2):
            Image.fromarray(drawn(who, which)).save(f"photos/{who}_{which}.png")
    words = ["dataset", "build", "photos", "--output", "out", "--detector", "embedded", "--recognizer", "embedded"]
    assert main([*words, "--min-size", "30", "--upright", "--crop-size", "96"]) == 0
    said = capsys.readouterr()
    assert "4 faces of 2 people in 4 photos." in said.out
    assert "The detector and the recognizer were trained on drawn people only" in said.err
    assert main([*words, "--min-size", "50", "--upright", "--crop-size", "96"]) == 2
    assert "least face 30, now 50" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "nothing", "--output", "out"], "nothing is no folder"),
        (["build", "photos", "--output", "photos"], "holds no earlier build"),
        (["build", "photos", "--output", "out", "--near-duplicate", "0.5"], "Distances of 0.5"),
        (["build", "photos", "--output", "out", "--test-references", "5", "2"], "5 to 2 references"),
        (["ffhq-ref", "photos", "--images", "photos"], "no train_references.csv"),
        (["celeba-ref", "photos", "--images", "photos"], "no test_references.csv"),
    ],
)
def test_what_cannot_be_done(
    words: list[str], message: str, recognizer: ByColor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", *words]) == 2
    assert message in capsys.readouterr().err


def test_build_without_face_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_flat(tmp_path / "photos")
    assert main(["dataset", "build", "photos", "--output", "out", "--face-models", "models"]) == 2
    assert "refldm download insightface" in capsys.readouterr().err
    assert not Path("out").exists()


def test_ffhq_ref(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = tmp_path / "FFHQ-Ref"
    write_ffhq_ref(dataset, tmp_path / "ffhq")
    words = ["dataset", "ffhq-ref", str(dataset), "--images", str(tmp_path / "ffhq")]
    assert main(words) == 2
    assert "problem: train has 5 images of 2 people; published are 18,816 of 6,073." in capsys.readouterr().out
    monkeypatch.setattr(command, "check_ffhq_ref", lambda folder, images: check_ffhq_ref(folder, images, SIZES, LISTED))
    assert main([*words, "--output", str(tmp_path / "mapping")]) == 0
    assert "All as published." in capsys.readouterr().out
    assert "00000/00000.png" in (tmp_path / "mapping" / "train_references.csv").read_text(encoding="utf-8")
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sizes"]["val"] == {"images": 2, "people": 1}
