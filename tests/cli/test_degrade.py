"""`refldm degrade` as a user runs it: random numbers that depend on the name, the table of them, no lost file."""

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


def test_folder_is_degraded_as_the_table_says(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("faces", "--output", "low", "--kind", "severe", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    table = rows()
    assert list(table) == ["a.png", "anna/a.png", "b.png"]
    assert len({row["seed"] for row in table.values()}) == 3
    assert [entry["file"] for entry in report["degraded"]] == ["a.png", "anna/a.png", "b.png"]
    assert report["failed"] == []
    for name, source in (("a.png", "a.png"), ("anna/a.png", "anna/a.png"), ("b.png", "b.jpg")):
        row = table[name]
        drawn = draw(RANGES["severe"], int(row["seed"]))
        listed = [float(row[column]) for column in ("blur_sigma", "downscale", "noise_sigma", "jpeg_quality")]
        assert listed == [drawn.blur_sigma, drawn.downscale, drawn.noise_sigma, drawn.jpeg_quality], "to the last digit"
        assert row["kind"] == "severe"
        assert (pixels(f"low/{name}") == degrade(pixels(f"faces/{source}"), drawn)).all()


def test_random_numbers_depend_on_seed_and_name_only(run: Run) -> None:
    assert run("faces", "--output", "low") == 0
    assert run("faces/a.png", "faces/b.jpg", "--output", "two") == 0
    assert run("faces/*.jpg", "--output", "pattern") == 0
    assert run("faces", "--output", "other", "--seed", "-7") == 0
    assert rows("two") == {name: row for name, row in rows().items() if "/" not in name}
    assert (pixels("two/a.png") == pixels("low/a.png")).all()
    assert (pixels("pattern/b.png") == pixels("low/b.png")).all()
    assert not {row["seed"] for row in rows("other").values()} & {row["seed"] for row in rows().values()}


def test_neighbor_of_the_same_stem_changes_only_the_name(run: Run) -> None:
    assert run("faces", "--output", "low") == 0
    Image.open("faces/a.png").save("faces/a.bmp")
    assert run("faces", "--output", "both") == 0
    assert rows("both")["a.png.png"]["seed"] == rows()["a.png"]["seed"] != rows("both")["a.bmp.png"]["seed"]
    assert (pixels("both/a.png.png") == pixels("low/a.png")).all()


# Windows and macOS take two such names for one file. The second pair differs in the composition of the accent.
ONE_FILE = [("A.png", "a.png"), ("\xe9.png", "e\u0301.png"), ("\xc9.png", "e\u0301.png")]


@pytest.mark.parametrize(("first", "second"), ONE_FILE)
def test_results_that_are_one_file_on_some_systems_are_refused(
    first: str, second: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, name in (("one", first), ("two", second)):
        Path(folder).mkdir()
        Image.open("faces/a.png").save(Path(folder) / name)
    assert run("one", "two", "--output", "low", "--overwrite") == 2
    assert "would both become" in capsys.readouterr().err
    assert not list(Path("low").iterdir())


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
def test_result_that_is_an_older_result_on_some_systems_is_refused(
    option: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("faces/a.png", "--output", "low") == 0
    before = Path("low/a.png").read_bytes()
    Path("more").mkdir()
    Image.open("faces/b.jpg").save("more/A.PNG")
    assert run("more", "--output", "low", option) == 2
    assert "differs from it in capitals only" in capsys.readouterr().err
    assert Path("low/a.png").read_bytes() == before


def test_neighbors_whose_stems_differ_in_capitals_keep_their_endings(run: Run) -> None:
    Path("more").mkdir()
    Image.open("faces/a.png").save("more/A.png")
    Image.open("faces/a.png").save("more/a.jpg")
    assert run("more", "--output", "low") == 0
    assert list(rows()) == ["A.png.png", "a.jpg.png"]


def test_result_that_is_its_input_on_some_systems_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("more").mkdir()
    Image.open("faces/a.png").save("more/a.PNG")
    assert run("more", "--output", "more", "--overwrite") == 2
    assert "is one of the inputs" in capsys.readouterr().err


def test_earlier_output_inside_the_input_is_skipped(run: Run) -> None:
    assert run("faces", "--output", "faces/low") == 0
    assert run("faces", "--output", str(Path("faces/low").resolve()), "--overwrite") == 0
    assert list(rows("faces/low")) == ["a.png", "anna/a.png", "b.png"]
    assert run("faces/anna", "--output", "faces", "--overwrite") == 0
    assert list(rows("faces")) == ["a.png"], "an input folder inside the output folder is searched"


def test_results_are_replaced_only_with_overwrite(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("faces/a.png", "--output", "low", "--seed", "1") == 0
    before = Path("low/a.png").read_bytes()
    assert run("faces", "--output", "low") == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in Path("low").iterdir() if path.suffix == ".png"] == ["a.png"]
    assert run("faces", "--output", "low", "--resume") == 0
    assert Path("low/a.png").read_bytes() == before
    resumed = rows()
    assert list(resumed) == ["a.png", "anna/a.png", "b.png"], "the table keeps the rows of earlier runs"
    assert run("faces", "--output", "low", "--resume") == 0
    assert "Everything is done already." in capsys.readouterr().out
    assert rows() == resumed
    assert run("faces", "--output", "low", "--overwrite") == 0
    assert Path("low/a.png").read_bytes() != before
    assert rows()["a.png"] != resumed["a.png"] and rows()["b.png"] == resumed["b.png"]


def test_damaged_picture_is_reported_and_the_rest_is_degraded(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    content = Path("faces/a.png").read_bytes()
    Path("faces/a.png").write_bytes(content[: len(content) // 2])
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
def test_unusable_input_or_output_is_an_error(
    words: list[str], message: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("faces/a.png").read_bytes()
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert Path("faces/a.png").read_bytes() == before


@pytest.mark.parametrize("content", [b"name,age\nanna,7\n", b"\xff\xfe\x00", b""])
def test_file_with_another_table_is_not_replaced(content: bytes, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("low").mkdir()
    Path("low/degradations.csv").write_bytes(content)
    assert run("faces", "--output", "low") == 2
    assert "degradations.csv" in capsys.readouterr().err
    assert Path("low/degradations.csv").read_bytes() == content
    assert len(list(Path("low").iterdir())) == 1, "the error comes before the work"


def test_table_of_an_interrupted_run_lists_its_finished_pictures(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from refldm_core.data import degraded

    def interrupted(path: Path) -> Image.Image:
        if path.name == "b.jpg":
            raise KeyboardInterrupt
        return Image.open(path).convert("RGB")

    monkeypatch.setattr(degraded, "load_image", interrupted)
    assert run("faces", "--output", "low") == 130
    assert list(rows()) == ["a.png", "anna/a.png"]


@pytest.mark.parametrize("row", ["a.png,severe,1", "a.png,severe,1,1,1,1,1,more"])
def test_table_with_an_incomplete_row_is_not_replaced(row: str, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    content = "file,kind,seed,blur_sigma,downscale,noise_sigma,jpeg_quality\n" + row + "\n"
    Path("low").mkdir()
    Path("low/degradations.csv").write_text(content, encoding="utf-8")
    assert run("faces", "--output", "low") == 2
    assert "too few or too many columns" in capsys.readouterr().err
    assert Path("low/degradations.csv").read_text(encoding="utf-8") == content
