"""Odd files and names on the command line give clear errors, never a traceback, and do not stop an album."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refldm_core import embedded
from refldm_core.cli.main import main

from ..pictures.test_formats import AVIF

Run = Callable[..., dict[str, Any]]
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows refuses these names, and has no pipes in folders")


def _picture(path: Path) -> Path:
    ramp = np.add.outer(np.arange(32) * 3, np.arange(32) * 4).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], -1)).save(path)
    return path


def _damage(path: Path) -> None:
    content = bytearray(_picture(path).read_bytes())
    start = content.index(b"mdat") + 8
    content[start : start + 12] = b"\xff" * 12
    path.write_bytes(content)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in an empty folder. Returns its report, with the exit code as "code"."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        code = main([*words, "--json", "--quiet"])
        return json.loads(capsys.readouterr().out) | {"code": code}

    return run


COMMANDS = {
    "restore": [
        *("restore", "album", "--aligned", "--steps", "1", "--device", "cpu"),
        *("--model", "embedded", "--dtype", "float32"),
    ],
    "degrade": ["degrade", "album"],
}


@AVIF
@POSIX
@pytest.mark.parametrize("command", COMMANDS)
def test_bad_files_do_not_stop_an_album(command: str, run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "._a.png", os.fsdecode(b"sub/\xff.png")):
        _picture(tmp_path / "album" / name)
    _damage(tmp_path / "album" / "bad.avif")
    (tmp_path / "album" / "empty.jpg").touch()
    (tmp_path / "album" / "loop.png").symlink_to("loop.png")
    (tmp_path / "album" / "loop").symlink_to(".", target_is_directory=True)
    os.mkfifo(tmp_path / "album" / "pipe.png")
    (tmp_path / "out").mkdir()
    report = run(*COMMANDS[command], "--output", "out")
    assert report["code"] == 2
    assert {Path(failure["input"]).name for failure in report["failed"]} == {"bad.avif", "empty.jpg"}
    assert all(failure["problem"] and failure["remedy"] for failure in report["failed"])
    results = {path.relative_to("out").as_posix() for path in Path("out").rglob("*.png")}
    assert results == {"a.png", "sub/b.png", os.fsdecode(b"sub/\xff.png")}
    assert not list(Path("out").glob(".*"))
    resumed = run(*COMMANDS[command], "--output", "out", "--resume")
    assert len(resumed["failed"]) == 2


@POSIX
@pytest.mark.parametrize("name", ["pipe.png", "loop.png", "long", "pipe.mpg", "clip.mpg", "data.h5", "folder.png"])
@pytest.mark.parametrize("command", ["restore", "degrade", "reference"])
def test_named_file_that_is_no_picture_is_an_error(name: str, command: str, run: Run, tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    if name == "long":
        name = "a" * 300 + ".png"
    elif name.startswith("pipe"):
        os.mkfifo(tmp_path / name)
    elif name.startswith("loop"):
        (tmp_path / name).symlink_to(name)
    elif name.startswith("folder"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(b"\0\0\1\xb3\x89HDF\r\n\x1a\n" * 20)
    words = {
        "restore": ["restore", name, "--aligned", "--output", "out.png"],
        "degrade": ["degrade", name, "--output", "out"],
        "reference": ["restore", "a.png", "--aligned", "--reference", name, "--output", "out.png"],
    }
    report = run(*words[command])
    assert report["code"] == 2 and report["error"]["expected"] and report["error"]["remedy"]
    assert not Path("out.png").exists()


@POSIX
@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "PIPE"],
        ["inspect", "embedded", "--config", "PIPE"],
        ["convert", "PIPE", "--output", "a.safetensors"],
        ["train", "PIPE"],
        ["evaluate", "--predictions", "a", "--ground-truth", "a", "--references", "PIPE", "--output", "out"],
        ["evaluate", "--predictions", "a", "--ground-truth", "a", "--people", "PIPE", "--output", "out"],
        ["evaluate", "--predictions", "a", "--ground-truth", "a", "--seconds", "PIPE", "--output", "out"],
        ["evaluate", "--predictions", "a", "--ground-truth", "a", "--recognizer", "PIPE", "--output", "out"],
        ["restore", "a/a.png", "--aligned", "--model", "PIPE", "--output", "out.png"],
        ["dataset", "build", "a", "--aligned", "--recognizer", "PIPE", "--output", "out"],
        ["dataset", "ffhq-ref", "published", "--images", "a"],
    ],
)
@pytest.mark.parametrize("kind", ["pipe", "loop", "long"])
def test_pipe_loop_or_long_name_is_an_error_of_every_command(
    words: list[str], kind: str, run: Run, tmp_path: Path
) -> None:
    _picture(tmp_path / "a" / "a.png")
    mapping = tmp_path / "published" / "reference_mapping"
    mapping.mkdir(parents=True)
    path = tmp_path / ("x" * 300 if kind == "long" else "odd")
    if kind == "pipe":
        os.mkfifo(path)
        os.mkfifo(mapping / "train_references.csv")
    elif kind == "loop":
        path.symlink_to(path)
    report = run(*(str(path) if word == "PIPE" else word for word in words))
    assert report["code"] == 2 and report["error"]["expected"] and report["error"]["remedy"]


@pytest.mark.parametrize(
    "words",
    [
        ["restore", "a.png", "--output", ""],
        ["restore", "a.png", "--output="],
        ["restore", "a.png", "--output", "  "],
        ["restore", "", "--output", "out.png"],
        ["degrade", "a.png", "--output", ""],
        ["restore", "a\0.png", "--output", "out.png"],
        ["inspect", "a\0"],
        ["convert", "embedded", "--output", ""],
        ["evaluate", "--predictions", "", "--ground-truth", "a", "--output", "out"],
    ],
)
def test_word_that_is_no_path_is_an_error(words: list[str], run: Run, tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    report = run(*words)
    assert report["code"] == 2 and "cannot be used" in report["error"]["problem"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("ending", ["blp", "mpg", "h5", "pdf", "eps", "gif", "", "xyz"])
def test_output_without_a_picture_ending_is_an_error(ending: str, run: Run, tmp_path: Path) -> None:
    _picture(tmp_path / "a.png")
    report = run("restore", "a.png", "--aligned", "--output", f"out.{ending}")
    assert report["code"] == 2 and "does not end in a picture format" in report["error"]["problem"]


@POSIX
def test_file_name_that_is_not_utf_8_is_kept(run: Run, tmp_path: Path) -> None:
    """Linux accepts any bytes in a name. Results keep such a name, and output shows it as escapes."""
    name = os.fsdecode(b"\xffa.png")
    _picture(tmp_path / name)
    _picture(tmp_path / "faces" / name)
    assert run("degrade", name, "--output", "low")["code"] == 0
    assert run("degrade", "faces", "--output", "low", "--overwrite")["code"] == 0
    assert (tmp_path / "low" / name).is_file()
    assert run("degrade", "faces", "--output", "low", "--resume")["code"] == 0


@POSIX
def test_name_that_is_not_utf_8_is_a_finding_in_an_evaluation(run: Run, tmp_path: Path) -> None:
    """Reports are UTF-8 text. An evaluation leaves out files that it cannot name, as findings. Photos are read."""
    for name in ("a.png", os.fsdecode(b"\xff.png")):
        _picture(tmp_path / "faces" / name)
    words = ["--ground-truth", "faces", "--output", "judged", "--metrics", "psnr"]
    report = run("evaluate", "--predictions", "m=faces", *words)
    assert report["code"] == 2 and report["methods"][0]["pictures"] == 1
    assert {finding["kind"] for finding in report["findings"]} == {"name unusable"}
    if not embedded.RECOGNIZER.is_file():
        pytest.skip("no embedded recognizer")
    words = ["--aligned", "--crop-size", "32", "--recognizer", "embedded", "--output", "built"]
    # The photos are the same picture, so that no person has two photos.
    assert "1 faces in 2 photos" in run("dataset", "build", "faces", *words)["error"]["problem"]


def test_result_does_not_replace_a_reference(run: Run, tmp_path: Path) -> None:
    for name in ("album/anna.jpg", "references/anna.png"):
        _picture(tmp_path / name)
    before = (tmp_path / "references/anna.png").read_bytes()
    words = ["--aligned", "--overwrite", "--reference", "references/anna.png"]
    for output in ("references", "references/anna.png"):
        report = run("restore", "album/anna.jpg", *words, "--output", output)
        assert report["code"] == 2 and "is one of the references" in report["error"]["problem"]
    assert (tmp_path / "references/anna.png").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no `head`")
def test_reader_may_close_the_output(tmp_path: Path) -> None:
    """`refldm inspect FILE | head -1` prints no traceback."""
    if not embedded.RESTORER.is_file():
        pytest.skip("no embedded model")
    command = [sys.executable, "-m", "refldm_core", "inspect", "embedded"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(60) == 141 and errors == ""
