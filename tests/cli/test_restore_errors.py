"""`refldm restore` on wrong input: each problem has a clear error, and no file is changed or left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..weights import TinyFiles

Restore = Callable[..., int]


def _picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def _make(path: str, image: Image.Image) -> Callable[[Path], None]:
    return lambda folder: image.save(folder / path)


def _text(folder: Path) -> None:
    (folder / "text.png").write_text("no picture", encoding="utf-8")


def _cut(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:3000])


def _two_folders(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "done").mkdir()
    Image.new("RGB", (9, 9)).save(folder / "a" / "lq.png")


def _nothing(folder: Path) -> None:
    pass


BAD_INPUT: dict[str, tuple[Callable[[Path], None], list[str], str]] = {
    "no such picture": (_nothing, ["no.png", "--output", "out.png"], "There is no file no.png"),
    "a text file as picture": (_text, ["text.png", "--output", "out.png"], "text.png is not a picture"),
    "a cut picture": (_cut, ["cut.png", "--output", "out.png"], "cut.png cannot be read"),
    "one pixel": (_make("dot.png", Image.new("RGB", (1, 1))), ["dot.png", "--output", "out.png"], "1x1 pixels"),
    "an empty folder": (lambda folder: (folder / "d").mkdir(), ["d", "--output", "out.png"], "d holds no pictures"),
    "a pattern without a match": (_nothing, ["*.tif", "--output", "out.png"], "*.tif holds no pictures"),
    "no folder": (_nothing, ["lq.png", "--output", "no/out.png"], "The folder no does not exist"),
    "no format": (_nothing, ["lq.png", "--output", "out.xyz"], "does not end in a picture format"),
    "an input as output": (_nothing, ["lq.png", "--output", "lq.png"], "is one of the inputs"),
    "an existing output": (
        lambda folder: (folder / "old.png").touch(),
        ["lq.png", "--output", "old.png"],
        "exists already",
    ),
    "two into one file": (_nothing, ["lq.png", "ref_0.png", "--output", "out.png"], "cannot go into the one file"),
    "two of one name": (
        _two_folders,
        ["lq.png", "a/lq.png", "--output", "done"],
        "would both become",
    ),
    "no model file": (_nothing, ["lq.png", "--output", "out.png", "--model", "no.ckpt"], "There is no file no.ckpt"),
    "a picture as model": (_nothing, ["lq.png", "--output", "out.png", "--model", "lq.png"], "not a model file"),
    "uniform out of range": (
        _nothing,
        ["lq.png", "--output", "out.png", "--steps", "3", "--schedule", "uniform"],
        "would visit timestep 1000",
    ),
    "no steps": (_nothing, ["lq.png", "--output", "out.png", "--steps", "0"], "0 sampling steps"),
    "seed": (_nothing, ["lq.png", "--output", "out.png", "--seed", str(2**64)], "out of range"),
    "guidance interval": (
        _nothing,
        ["lq.png", "--output", "out.png", "--guidance-interval", "600", "400"],
        "from timestep 600 to 400 has no meaning",
    ),
    "eta": (_nothing, ["lq.png", "--output", "out.png", "--eta", "2"], "eta 2.0 has no meaning"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_a_clear_error_and_changes_no_file(
    case: str, restore_crops: Restore, crop_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare, words, message = BAD_INPUT[case]
    prepare(crop_folder)
    before = {path: path.stat().st_mtime_ns for path in crop_folder.rglob("*") if path.is_file()}
    assert restore_crops(*words, "--aligned") == 2
    error = capsys.readouterr().err
    assert message in error and "Expected:" in error and "Remedy:" in error
    after = {path: path.stat().st_mtime_ns for path in crop_folder.rglob("*") if path.is_file()}
    assert after == before, "an error must change no file and leave none behind"


def test_error_is_printed_as_json(restore_crops: Restore, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore_crops("no.png", "--aligned", "--output", "out.png", "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "ImageFileError" and error["remedy"]


@pytest.mark.skipif(sys.platform != "linux", reason="on Linux, nobody may write to the folder /sys")
def test_folder_without_permission_is_an_error(restore_crops: Restore, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore_crops("lq.png", "--aligned", "--output", "/sys/out.png") == 2
    assert "/sys/out.png cannot be written" in capsys.readouterr().err


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)          # a write past the limit then fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
from refldm_core.cli.main import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
@pytest.mark.parametrize("command", ["restore", "convert"])
def test_full_disk_leaves_no_partial_file(command: str, crop_folder: Path, tiny: TinyFiles) -> None:
    model = ["--config", str(tiny.config)]
    words = {
        "restore": ["lq.png", "--aligned", "--output", "out.png", "--steps", "1", "--model", str(tiny.ckpt), *model],
        "convert": [str(tiny.ckpt), "--output", "out.safetensors", *model],
    }[command]
    before = sorted(crop_folder.iterdir())
    root = Path(__file__).parents[2]
    process = subprocess.run(
        [sys.executable, "-c", FULL_DISK, command, *words],
        cwd=crop_folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2, process.stderr
    assert "Nothing was left half-written" in process.stderr and "Remedy:" in process.stderr
    assert sorted(crop_folder.iterdir()) == before


def test_interrupted_run_leaves_no_result(
    restore_crops: Restore, crop_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refldm_core.pipeline import Restorer

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Restorer, "restore", interrupted)
    assert restore_crops("lq.png", "--aligned", "--output", "out.png") == 130
    assert not (crop_folder / "out.png").exists()


def test_existing_result_is_replaced_only_with_overwrite(restore_crops: Restore, crop_folder: Path) -> None:
    (crop_folder / "out.png").write_bytes(b"old")
    assert restore_crops("lq.png", "--aligned", "--output", "out.png") == 2
    assert (crop_folder / "out.png").read_bytes() == b"old"
    assert restore_crops("lq.png", "--aligned", "--output", "out.png", "--overwrite") == 0
    assert _picture(crop_folder / "out.png").shape == (128, 128, 3)
