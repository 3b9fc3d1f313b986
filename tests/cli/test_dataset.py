"""`refldm dataset`: complete runs of its three commands, and their errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.cli import dataset as command
from refldm_core.cli.main import main
from refldm_core.data.ffhq_ref import check_ffhq_ref

from ..data.photos import PEOPLE, ByColor, color_reader, photo_of, write_flat
from ..data.small_ffhq import LISTED, SIZES, write_ffhq_ref
from ..embedded import needs_embedded, trained_on


@pytest.fixture
def recognizer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ByColor:
    """Return a recognizer that knows people by color, in a folder with photos/0_0.png and so on."""
    monkeypatch.chdir(tmp_path)
    write_flat(tmp_path / "photos")
    by_color = ByColor()
    monkeypatch.setattr(command, "_reader", lambda *_: color_reader(by_color))
    return by_color


def test_build_reads_each_photo_once(recognizer: ByColor, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "build", "photos", "--output", "out", "--test", "2"]) == 0
    printed = capsys.readouterr().out
    assert "24 faces of 6 people in 24 photos." in printed
    assert "test: 8 targets, 8 pictures of 2 people" in printed
    assert "report.md" in printed
    assert main(["dataset", "build", "photos", "--output", "out", "--test", "2", "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["splits"]["test"]["people"] == 2 and captured.err == ""
    assert len(recognizer.seen) == 24


def test_output_inside_the_photos_is_not_read_as_photos(recognizer: ByColor) -> None:
    for _ in range(2):
        assert main(["dataset", "build", "photos", "--output", "photos/dataset"]) == 0
    assert len(recognizer.seen) == 24, "the second run does not read the pictures of the first"


def test_an_interrupted_build_continues(
    recognizer: ByColor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_reader", lambda *_: color_reader(ByColor(stop_at=5)))
    assert main(["dataset", "build", "photos", "--output", "out"]) == 130
    assert "Interrupted" in capsys.readouterr().err
    monkeypatch.setattr(command, "_reader", lambda *_: color_reader(recognizer))
    assert main(["dataset", "build", "photos", "--output", "out"]) == 0
    assert len(recognizer.seen) == 19


def test_the_test_sets_equal_the_output_of_degrade(recognizer: ByColor) -> None:
    assert main(["dataset", "build", "photos", "--output", "out"]) == 0
    assert main(["degrade", "out/images", "--output", "low", "--kind", "severe"]) == 0
    paths = sorted(Path("out/test_images/severe_degrad").glob("*.png"))
    assert paths
    for path in paths:
        assert (np.asarray(Image.open(path)) == np.asarray(Image.open(Path("low") / path.name))).all()


@needs_embedded
def test_build_with_the_embedded_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for seed in PEOPLE[:2]:
        for number in range(2):
            Image.fromarray(photo_of(seed, number)).save(f"photos/{seed}_{number}.png")
    words = ["dataset", "build", "photos", "--output", "out", "--detector", "embedded", "--recognizer", "embedded"]
    assert main([*words, "--min-size", "30", "--upright", "--crop-size", "96"]) == 0
    printed = capsys.readouterr()
    assert "4 faces of 2 people in 4 photos." in printed.out
    assert f"The detector and the recognizer were trained on {trained_on()} only" in printed.err
    assert main([*words, "--min-size", "50", "--upright", "--crop-size", "96"]) == 2
    assert "least face 30, now 50" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "nothing", "--output", "out"], "nothing is no folder"),
        (["build", "photos", "--output", "photos"], "holds no earlier build"),
        (["build", "photos", "--output", "out", "--near-duplicate", "0.5"], "The distances are 0.5"),
        (["build", "photos", "--output", "out", "--test-references", "5", "2"], "5 to 2 references"),
        (["ffhq-ref", "photos", "--images", "photos"], "no train_references.csv"),
        (["celeba-ref", "photos", "--images", "photos"], "no test_references.csv"),
    ],
)
def test_unusable_arguments_are_reported(
    words: list[str], message: str, recognizer: ByColor, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", *words]) == 2
    assert message in capsys.readouterr().err


def test_build_names_the_command_that_downloads_face_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_flat(tmp_path / "photos")
    assert main(["dataset", "build", "photos", "--output", "out", "--face-models", "models"]) == 2
    assert "refldm download insightface" in capsys.readouterr().err
    assert not Path("out").exists()


def test_ffhq_ref_compares_with_the_published_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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
