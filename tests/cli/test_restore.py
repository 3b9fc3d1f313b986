"""`refldm restore` as a user runs it: the published picture, and a clear error for everything that is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from refldm_core.cli.main import main

from ..parity import GRAY_LEVELS
from ..weights import TinyFiles

Run = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path, golden: dict[str, Tensor]) -> Path:
    """Holds lq.png and ref_0.png to ref_2.png, the golden pictures."""
    Image.fromarray(golden["in.lq_u8"][0].movedim(0, -1).numpy()).save(tmp_path / "lq.png")
    for i, picture in enumerate(golden["in.ref_u8"][0]):
        Image.fromarray(picture.movedim(0, -1).numpy()).save(tmp_path / f"ref_{i}.png")
    return tmp_path


@pytest.fixture
def restore(folder: Path, tiny: TinyFiles, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in the folder, with three references unless told otherwise."""
    monkeypatch.chdir(folder)

    def run(*words: str, references: int = 3) -> int:
        model = ["--model", str(tiny.ckpt), "--config", str(tiny.config)] if "--model" not in words else []
        steps = ["--steps", "1"] if not {"--steps", "--preset"} & set(words) else []
        refs = ["--reference", *(f"ref_{i}.png" for i in range(references))] if references else []
        return main(["restore", *words, *refs, *model, *steps])

    return run


def _picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


PUBLISHED = {
    "ddim": (["--steps", "10"], 3),
    "ddim_1ref_cfg1": (["--steps", "10", "--guidance", "1"], 1),
    "ddim_uniform_S4": (["--steps", "4", "--schedule", "uniform"], 3),
}


@pytest.mark.parametrize("golden_run", PUBLISHED)
def test_it_gives_the_published_picture(golden_run: str, restore: Run, folder: Path, golden: dict[str, Tensor]) -> None:
    options, references = PUBLISHED[golden_run]
    words = ["lq.png", "--aligned", "--output", "out.png", "--dtype", "float32", "--device", "cpu", *options]
    assert restore(*words, references=references) == 0
    theirs = golden[f"{golden_run}.final.image_u8"][0].movedim(0, -1).numpy().astype(int)
    assert np.abs(_picture(folder / "out.png") - theirs).max() <= GRAY_LEVELS


def test_json(restore: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore("lq.png", "--aligned", "--output", "out.png", "--json", "--quiet", "--sampler", "dpmpp_2m") == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    assert report["restored"][0]["output"] == "out.png" and report["restored"][0]["seconds"] > 0
    assert report["warning"] is None
    assert report["settings"]["sampler"] == "dpmpp_2m" and report["settings"]["seed"] == 2024
    assert report["preset"] == "published"
    assert report["model"]["weights"] == "ema" and len(report["references"]["reference"]) == 3


@pytest.fixture
def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    from refldm_core.cli import sampling
    from refldm_core.pipeline import SamplingSettings
    from refldm_core.presets import Preset

    quick = Preset(
        SamplingSettings(steps=4, sampler="dpmpp_2m", guidance=3.0, guidance_interval=(200, 600)), "100% of it"
    )
    monkeypatch.setattr(sampling, "PRESETS", {**sampling.PRESETS, "quick": quick})


@pytest.mark.usefixtures("small_presets")
def test_a_preset_is_its_options(restore: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(output: str, *words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert restore("lq.png", "--aligned", "--output", output, "--json", *words) == 0
        return json.loads(capsys.readouterr().out)

    written_out = ["--steps", "4", "--sampler", "dpmpp_2m", "--guidance", "3", "--guidance-interval", "200", "600"]
    preset, options = run("preset.png", "--preset", "quick"), run("options.png", *written_out)
    assert (preset["preset"], options["preset"]) == ("quick", "published")
    assert preset["settings"] == options["settings"]
    assert preset["settings"]["guidance_interval"] == [200, 600]
    assert np.array_equal(_picture(folder / "preset.png"), _picture(folder / "options.png"))
    whole = run("whole.png", "--preset", "quick", "--guidance-interval", "0", "999", "--sampler", "ddim")
    assert whole["settings"] == {**preset["settings"], "guidance_interval": [0, 999], "sampler": "ddim"}
    assert not np.array_equal(_picture(folder / "preset.png"), _picture(folder / "whole.png"))


@pytest.mark.usefixtures("small_presets")
def test_help_says_what_the_presets_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "quick: 4 dpmpp_2m steps, guidance 3 at timesteps 200 to 600 (100% of it)" in shown


def test_compile(
    restore: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a back end that refuses: it says so once, and nothing else changes."""
    from refldm_core.cli import sampling

    def refusing(*args: object) -> None:
        raise RuntimeError("no compiler here")

    compile_unet = sampling.compile_unet
    monkeypatch.setattr(sampling, "compile_unet", partial(compile_unet, backend=refusing))
    (folder / "done").mkdir()
    exact = ["--aligned", "--dtype", "float32", "--device", "cpu"]
    words = ["lq.png", "ref_2.png", *exact, "--json"]
    assert restore(*words, "--output", "done", "--compile") == 0
    said = capsys.readouterr()
    assert said.err.count("could not be compiled, and runs uncompiled: RuntimeError: no compiler here") == 1
    assert json.loads(said.out)["compiled"] is False
    assert restore("ref_2.png", *exact, "--output", "plain.png") == 0
    assert np.array_equal(_picture(folder / "done" / "ref_2.png"), _picture(folder / "plain.png"))
    capsys.readouterr()
    monkeypatch.setattr(sampling, "compile_unet", partial(compile_unet, backend="eager"))
    assert restore(*words, "--output", "done", "--overwrite", "--compile") == 0
    assert json.loads(capsys.readouterr().out)["compiled"] is True
    assert np.abs(_picture(folder / "done" / "ref_2.png") - _picture(folder / "plain.png")).max() <= GRAY_LEVELS


def test_without_references_it_says_that_it_runs_unguided(restore: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore("lq.png", "--aligned", "--output", "out.png", references=0) == 0
    assert "without guidance" in capsys.readouterr().err


def test_sixteen_references(restore: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3, 16):
        (folder / f"ref_{i}.png").write_bytes((folder / f"ref_{i % 3}.png").read_bytes())
    assert restore("lq.png", "--aligned", "--output", "out.png", references=16) == 0
    assert "trained with up to 5" in capsys.readouterr().err


def test_several_pictures_each_equal_to_itself_alone(restore: Run, folder: Path) -> None:
    (folder / "done").mkdir()
    assert restore("lq.png", "ref_2.png", "--aligned", "--output", "done") == 0
    assert restore("ref_2.png", "--aligned", "--output", "alone.png") == 0
    assert (folder / "done" / "lq.png").exists()
    assert np.array_equal(_picture(folder / "done" / "ref_2.png"), _picture(folder / "alone.png"))


@pytest.mark.parametrize("separate", [False, True])
def test_reference_encoding_is_passed_on(separate: bool, restore: Run, folder: Path) -> None:
    assert restore("lq.png", "--aligned", "--output", "joint.png") == 0
    assert restore("lq.png", "--aligned", "--output", "x.png", *(["--reference-encoding", "separate"] * separate)) == 0
    assert np.array_equal(_picture(folder / "x.png"), _picture(folder / "joint.png")) != separate


def _make(path: str, image: Image.Image) -> Callable[[Path], None]:
    return lambda folder: image.save(folder / path)


ODD_PICTURES = {
    "gray": Image.new("L", (90, 70), 100),
    "rgba": Image.new("RGBA", (128, 128), (10, 20, 30, 128)),
    "palette": Image.new("P", (64, 64), 3),
    "16 bit": Image.fromarray(np.full((64, 64), 40000, np.uint16)),
    "large": Image.new("RGB", (900, 600), "red"),
}


@pytest.mark.parametrize("kind", ODD_PICTURES)
def test_odd_pictures_are_restored(kind: str, restore: Run, folder: Path) -> None:
    ODD_PICTURES[kind].save(folder / "odd.png")
    assert restore("odd.png", "--aligned", "--output", "out.png") == 0
    assert _picture(folder / "out.png").shape == (128, 128, 3)


def _text(folder: Path) -> None:
    (folder / "text.png").write_text("no picture", encoding="utf-8")


def _cut(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:3000])


def _nothing(folder: Path) -> None:
    pass


BAD_INPUT: dict[str, tuple[Callable[[Path], None], list[str], str]] = {
    "no such picture": (_nothing, ["no.png", "--output", "out.png"], "There is no file no.png"),
    "a text file as picture": (_text, ["text.png", "--output", "out.png"], "text.png is not a picture"),
    "a cut picture": (_cut, ["cut.png", "--output", "out.png"], "cut.png cannot be read"),
    "one pixel": (_make("dot.png", Image.new("RGB", (1, 1))), ["dot.png", "--output", "out.png"], "1x1 pixels"),
    "an empty folder": (lambda f: (f / "d").mkdir(), ["d", "--output", "out.png"], "d holds no pictures"),
    "a pattern without a match": (_nothing, ["*.tif", "--output", "out.png"], "*.tif holds no pictures"),
    "no folder": (_nothing, ["lq.png", "--output", "no/out.png"], "The folder no does not exist"),
    "no format": (_nothing, ["lq.png", "--output", "out.xyz"], "does not end in a picture format"),
    "an input as output": (_nothing, ["lq.png", "--output", "lq.png"], "is one of the inputs"),
    "an existing output": (
        lambda f: (f / "old.png").touch(),
        ["lq.png", "--output", "old.png"],
        "exists already",
    ),
    "two into one file": (_nothing, ["lq.png", "ref_0.png", "--output", "out.png"], "cannot go into the one file"),
    "two of one name": (
        lambda f: [(f / d).mkdir() for d in ("a", "done")] and Image.new("RGB", (9, 9)).save(f / "a" / "lq.png"),
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
    "guidance nan": (_nothing, ["lq.png", "--output", "out.png", "--guidance", "nan"], "out of range"),
    "seed": (_nothing, ["lq.png", "--output", "out.png", "--seed", str(2**64)], "out of range"),
    "guidance interval": (
        _nothing,
        ["lq.png", "--output", "out.png", "--guidance-interval", "600", "400"],
        "from timestep 600 to 400 has no meaning",
    ),
    "eta": (_nothing, ["lq.png", "--output", "out.png", "--eta", "2"], "eta 2.0 has no meaning"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(case: str, restore: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare, words, says = BAD_INPUT[case]
    prepare(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert restore(*words, "--aligned") == 2
    error = capsys.readouterr().err
    assert says in error and "Expected:" in error and "Remedy:" in error
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert after == before, "an error must change no file and leave none behind"


def test_errors_as_json(restore: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore("no.png", "--aligned", "--output", "out.png", "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "ImageFileError" and error["remedy"]


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is a folder that nobody may write to, on Linux")
def test_a_folder_without_permission(restore: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore("lq.png", "--aligned", "--output", "/sys/out.png") == 2
    assert "/sys/out.png cannot be written" in capsys.readouterr().err


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)          # then a write past the limit fails as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
from refldm_core.cli.main import main
raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX resource limits")
@pytest.mark.parametrize("command", ["restore", "convert"])
def test_no_room_while_writing(command: str, folder: Path, tiny: TinyFiles) -> None:
    model = ["--config", str(tiny.config)]
    words = {
        "restore": ["lq.png", "--aligned", "--output", "out.png", "--steps", "1", "--model", str(tiny.ckpt), *model],
        "convert": [str(tiny.ckpt), "--output", "out.safetensors", *model],
    }[command]
    before = sorted(folder.iterdir())
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, command, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Nothing was left half-written" in done.stderr and "Remedy:" in done.stderr
    assert sorted(folder.iterdir()) == before


def test_interrupt(restore: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refldm_core.pipeline import Restorer

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Restorer, "restore", interrupted)
    assert restore("lq.png", "--aligned", "--output", "out.png") == 130
    assert not (folder / "out.png").exists()


def test_overwrite(restore: Run, folder: Path) -> None:
    (folder / "out.png").write_bytes(b"old")
    assert restore("lq.png", "--aligned", "--output", "out.png") == 2
    assert (folder / "out.png").read_bytes() == b"old"
    assert restore("lq.png", "--aligned", "--output", "out.png", "--overwrite") == 0
    assert _picture(folder / "out.png").shape == (128, 128, 3)


def test_strengths(restore: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the face and of its references; 0 is the picture itself, or no references."""

    def run(output: str, *words: str, references: int = 3) -> dict[str, Any]:
        capsys.readouterr()
        options = ("--aligned", "--steps", "2", "--output", output, "--json")
        assert restore("lq.png", *options, *words, references=references) == 0
        return json.loads(capsys.readouterr().out)["settings"]

    plain = run("plain.png")
    assert "strength" not in plain and "reference_strength" not in plain
    assert run("ones.png", "--strength", "1", "--reference-strength", "1") == plain
    assert run("half.png", "--strength", "0.5") == {**plain, "strength": 0.5}
    run("none.png", "--strength", "0")
    assert run("alone.png", "--reference-strength", "0") == {**plain, "reference_strength": 0.0}
    run("without.png", references=0)
    names = ("plain", "ones", "half", "none", "alone", "without", "lq")
    plain_picture, ones, half, none, alone, without, lq = (_picture(folder / f"{name}.png") for name in names)
    assert np.array_equal(plain_picture, ones) and np.array_equal(alone, without)
    assert np.abs(none - lq).max() <= 1, "the published way of saving cuts fractions off"
    assert not np.array_equal(plain_picture, half) and not np.array_equal(plain_picture, without)
    assert restore("lq.png", "--aligned", "--output", "bad.png", "--strength", "1.5") == 2
    assert "strength is 1.5" in capsys.readouterr().err
