"""`refldm degrade` as a user runs it: the same numbers for the same name, a table of them, and nothing lost."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.cli.main import main
from refldm_core.data.degradation import RANGES, degrade, draw

Run = Callable[..., int]
Rows = dict[str, dict[str, str]]

NAMES = ("a.png", "b.jpg", "anna/a.png")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in a folder with faces/a.png, faces/b.jpg and faces/anna/a.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces" / "anna").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in NAMES:
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(tmp_path / "faces" / name)

    def run(*words: str) -> int:
        return main(["degrade", *words])

    return run


def rows(folder: str = "low") -> Rows:
    with (Path(folder) / "degradations.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def pixels(path: str) -> np.ndarray:
    return np.array(Image.open(path))


def test_a_folder(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("faces", "--output", "low", "--kind", "severe", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    table = rows()
    assert list(table) == ["a.png", "anna/a.png", "b.png"]
    assert len({row["seed"] for row in table.values()}) == 3
    assert [one["file"] for one in report["degraded"]] == ["a.png", "anna/a.png", "b.png"]
    assert report["failed"] == []
    for name, source in (("a.png", "a.png"), ("anna/a.png", "anna/a.png"), ("b.png", "b.jpg")):
        row = table[name]
        drawn = draw(RANGES["severe"], int(row["seed"]))
        told = [float(row[column]) for column in ("blur_sigma", "downscale", "noise_sigma", "jpeg_quality")]
        assert told == [drawn.blur_sigma, drawn.downscale, drawn.noise_sigma, drawn.jpeg_quality], "to the last digit"
        assert row["kind"] == "severe"
        assert (pixels(f"low/{name}") == degrade(pixels(f"faces/{source}"), drawn)).all()


def test_the_numbers_depend_on_seed_and_name_alone(run: Run) -> None:
    assert run("faces", "--output", "low") == 0
    assert run("faces/a.png", "faces/b.jpg", "--output", "two") == 0
    assert run("faces/*.jpg", "--output", "pattern") == 0
    assert run("faces", "--output", "other", "--seed", "-7") == 0
    assert rows("two") == {name: row for name, row in rows().items() if "/" not in name}
    assert (pixels("two/a.png") == pixels("low/a.png")).all()
    assert (pixels("pattern/b.png") == pixels("low/b.png")).all()
    assert not {row["seed"] for row in rows("other").values()} & {row["seed"] for row in rows().values()}


def test_a_neighbor_of_the_same_stem_changes_the_name_alone(run: Run) -> None:
    assert run("faces", "--output", "low") == 0
    Image.open("faces/a.png").save("faces/a.bmp")
    assert run("faces", "--output", "both") == 0
    assert rows("both")["a.png.png"]["seed"] == rows()["a.png"]["seed"] != rows("both")["a.bmp.png"]["seed"]
    assert (pixels("both/a.png.png") == pixels("low/a.png")).all()


# Windows and macOS take two such names for one file; the second pair differs in how its accent is composed.
ONE_FILE = [("A.png", "a.png"), ("\xe9.png", "e\u0301.png"), ("\xc9.png", "e\u0301.png")]


@pytest.mark.parametrize(("first", "second"), ONE_FILE)
def test_names_that_are_one_file_on_some_systems(
    first: str, second: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, name in (("one", first), ("two", second)):
        Path(folder).mkdir()
        Image.open("faces/a.png").save(Path(folder) / name)
    assert run("one", "two", "--output", "low", "--overwrite") == 2
    assert "would both become" in capsys.readouterr().err
    assert not list(Path("low").iterdir())


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
def test_a_result_that_is_an_older_one_on_some_systems(
    option: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("faces/a.png", "--output", "low") == 0
    before = Path("low/a.png").read_bytes()
    Path("more").mkdir()
    Image.open("faces/b.jpg").save("more/A.PNG")
    assert run("more", "--output", "low", option) == 2
    assert "differs from it in capitals only" in capsys.readouterr().err
    assert Path("low/a.png").read_bytes() == before


def test_neighbors_whose_stems_differ_in_capitals(run: Run) -> None:
    Path("more").mkdir()
    Image.open("faces/a.png").save("more/A.png")
    Image.open("faces/a.png").save("more/a.jpg")
    assert run("more", "--output", "low") == 0
    assert list(rows()) == ["A.png.png", "a.jpg.png"]


def test_a_result_that_is_its_input_on_some_systems(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("more").mkdir()
    Image.open("faces/a.png").save("more/a.PNG")
    assert run("more", "--output", "more", "--overwrite") == 2
    assert "is one of the inputs" in capsys.readouterr().err


def test_an_earlier_output_inside_the_input_is_left_out(run: Run) -> None:
    assert run("faces", "--output", "faces/low") == 0
    assert run("faces", "--output", str(Path("faces/low").resolve()), "--overwrite") == 0
    assert list(rows("faces/low")) == ["a.png", "anna/a.png", "b.png"]
    assert run("faces/anna", "--output", "faces", "--overwrite") == 0
    assert list(rows("faces")) == ["a.png"], "an input inside the output is an input like others"


def test_nothing_is_overwritten_unasked(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("faces/a.png", "--output", "low", "--seed", "1") == 0
    before = Path("low/a.png").read_bytes()
    assert run("faces", "--output", "low") == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in Path("low").iterdir() if path.suffix == ".png"] == ["a.png"]
    assert run("faces", "--output", "low", "--resume") == 0
    assert Path("low/a.png").read_bytes() == before
    resumed = rows()
    assert list(resumed) == ["a.png", "anna/a.png", "b.png"], "rows of earlier runs are kept"
    assert run("faces", "--output", "low", "--resume") == 0
    assert "Everything is done already." in capsys.readouterr().out
    assert rows() == resumed
    assert run("faces", "--output", "low", "--overwrite") == 0
    assert Path("low/a.png").read_bytes() != before
    assert rows()["a.png"] != resumed["a.png"] and rows()["b.png"] == resumed["b.png"]


def test_a_damaged_picture_is_reported_and_the_others_are_done(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Path("faces/a.png").read_bytes()
    Path("faces/a.png").write_bytes(whole[: len(whole) // 2])
    assert run("faces", "--output", "low") == 2
    captured = capsys.readouterr()
    assert "a.png" in captured.err and "Remedy:" in captured.err
    assert "2 degraded" in captured.out and "1 failed" in captured.out
    assert list(rows()) == ["anna/a.png", "b.png"]
    assert not Path("low/a.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.png", "--output", "low"], "There is no file nothing.png"),
        (["faces/*.gif", "--output", "low"], "holds no pictures"),
        (["faces", "--output", "faces"], "is one of the inputs"),
        (["faces", "--output", "faces/a.png"], "cannot be written"),
        (["faces", "faces/a.png", "--output", "low"], "would both become"),
    ],
)
def test_what_cannot_be_done(words: list[str], message: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("faces/a.png").read_bytes()
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert Path("faces/a.png").read_bytes() == before


@pytest.mark.parametrize("content", [b"name,age\nanna,7\n", b"\xff\xfe\x00", b""])
def test_another_table_is_left_alone(content: bytes, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("low").mkdir()
    Path("low/degradations.csv").write_bytes(content)
    assert run("faces", "--output", "low") == 2
    assert "degradations.csv" in capsys.readouterr().err
    assert Path("low/degradations.csv").read_bytes() == content
    assert len(list(Path("low").iterdir())) == 1, "found out before the work"


def test_what_was_done_before_an_interruption_is_in_the_table(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from refldm_core.data import degraded

    def interrupted(path: Path) -> Image.Image:
        if path.name == "b.jpg":
            raise KeyboardInterrupt
        return Image.open(path).convert("RGB")

    monkeypatch.setattr(degraded, "load_image", interrupted)
    assert run("faces", "--output", "low") == 130
    assert list(rows()) == ["a.png", "anna/a.png"]
