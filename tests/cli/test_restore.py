"""`refldm restore` on aligned crops: the published pictures, options, presets, reports."""

from __future__ import annotations

import json
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

Restore = Callable[..., int]


def _picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


PUBLISHED = {
    "ddim": (["--steps", "10"], 3),
    "ddim_1ref_cfg1": (["--steps", "10", "--guidance", "1"], 1),
    "ddim_uniform_S4": (["--steps", "4", "--schedule", "uniform"], 3),
}


@pytest.mark.parametrize("golden_run", PUBLISHED)
def test_result_equals_the_published_picture(
    golden_run: str, restore_crops: Restore, crop_folder: Path, golden: dict[str, Tensor]
) -> None:
    options, references = PUBLISHED[golden_run]
    words = ["lq.png", "--aligned", "--output", "out.png", "--dtype", "float32", "--device", "cpu", *options]
    assert restore_crops(*words, references=references) == 0
    published = golden[f"{golden_run}.final.image_u8"][0].movedim(0, -1).numpy().astype(int)
    assert np.abs(_picture(crop_folder / "out.png") - published).max() <= GRAY_LEVELS


def test_json_report_holds_results_and_settings(restore_crops: Restore, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        restore_crops("lq.png", "--aligned", "--output", "out.png", "--json", "--quiet", "--sampler", "dpmpp_2m") == 0
    )
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
    from refldm_core.cli.arguments import sampling as options
    from refldm_core.pipeline import SamplingSettings
    from refldm_core.presets import PRESETS, Preset

    quick = Preset(
        SamplingSettings(steps=4, sampler="dpmpp_2m", guidance=3.0, guidance_interval=(200, 600)), "100% of it"
    )
    for module in (options, sampling):
        monkeypatch.setattr(module, "PRESETS", {**PRESETS, "quick": quick})


@pytest.mark.usefixtures("small_presets")
def test_preset_equals_its_options_written_out(
    restore_crops: Restore, crop_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(output: str, *words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert restore_crops("lq.png", "--aligned", "--output", output, "--json", *words) == 0
        return json.loads(capsys.readouterr().out)

    written_out = ["--steps", "4", "--sampler", "dpmpp_2m", "--guidance", "3", "--guidance-interval", "200", "600"]
    preset, options = run("preset.png", "--preset", "quick"), run("options.png", *written_out)
    assert (preset["preset"], options["preset"]) == ("quick", "published")
    assert preset["settings"] == options["settings"]
    assert preset["settings"]["guidance_interval"] == [200, 600]
    assert np.array_equal(_picture(crop_folder / "preset.png"), _picture(crop_folder / "options.png"))
    changed = run("changed.png", "--preset", "quick", "--guidance-interval", "0", "999", "--sampler", "ddim")
    assert changed["settings"] == {**preset["settings"], "guidance_interval": [0, 999], "sampler": "ddim"}
    assert not np.array_equal(_picture(crop_folder / "preset.png"), _picture(crop_folder / "changed.png"))


def test_touch_up_starts_from_the_photo_and_options_override_it(
    restore_crops: Restore, crop_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert restore_crops("lq.png", "--aligned", "--output", "out.png", "--overwrite", "--json", *words) == 0
        return json.loads(capsys.readouterr().out)["settings"]

    preset = run("--preset", "touch-up")
    assert preset["steps"] <= 2 and preset["strength"] <= 0.5
    picture = _picture(crop_folder / "out.png")
    overridden = run("--preset", "touch-up", "--strength", "0.9", "--steps", "3")
    assert overridden == {**preset, "strength": 0.9, "steps": 3}
    assert not np.array_equal(_picture(crop_folder / "out.png"), picture)
    unchanged = run("--preset", "touch-up", "--strength", "0")
    assert unchanged["strength"] == 0.0
    difference = _picture(crop_folder / "out.png") - _picture(crop_folder / "lq.png")
    assert np.abs(difference).max() <= 1, "the published script truncates fractions"


def test_options_that_do_not_fit_a_preset_are_explained(
    restore_crops: Restore, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["lq.png", "--aligned", "--output", "out.png", "--preset"]
    for options, message in {
        ("fast", "--eta", "0.5"): "eta 0.5 has no meaning for the sampler dpmpp_2m",
        ("touch-up", "--strength", "1.5"): "strength",
        ("touch-up", "--steps", "1001"): "1001 sampling steps were asked for",
        ("touch-up", "--schedule", "uniform", "--steps", "3", "--strength", "0.99"): "3 uniform steps would visit",
    }.items():
        assert restore_crops(*words, *options) == 2
        assert message in capsys.readouterr().err


@pytest.mark.usefixtures("small_presets")
def test_help_describes_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["restore", "--help"])
    page = " ".join(capsys.readouterr().out.split())
    assert "quick: 4 dpmpp_2m steps, guidance 3 at timesteps 200 to 600 (100% of it)" in page


def test_model_that_cannot_be_compiled_runs_uncompiled(
    restore_crops: Restore, crop_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A back end that refuses causes one remark and no other change. A back end that works is reported as compiled."""
    from refldm_core.cli import sampling

    def refusing(*args: object) -> None:
        raise RuntimeError("no compiler here")

    compile_unet = sampling.compile_unet
    monkeypatch.setattr(sampling, "compile_unet", partial(compile_unet, backend=refusing))
    (crop_folder / "done").mkdir()
    exact = ["--aligned", "--dtype", "float32", "--device", "cpu"]
    words = ["lq.png", "ref_2.png", *exact, "--json"]
    assert restore_crops(*words, "--output", "done", "--compile") == 0
    captured = capsys.readouterr()
    assert captured.err.count("could not be compiled, and runs uncompiled: RuntimeError: no compiler here") == 1
    assert json.loads(captured.out)["compiled"] is False
    assert restore_crops("ref_2.png", *exact, "--output", "plain.png") == 0
    assert np.array_equal(_picture(crop_folder / "done" / "ref_2.png"), _picture(crop_folder / "plain.png"))
    capsys.readouterr()
    monkeypatch.setattr(sampling, "compile_unet", partial(compile_unet, backend="eager"))
    assert restore_crops(*words, "--output", "done", "--overwrite", "--compile") == 0
    assert json.loads(capsys.readouterr().out)["compiled"] is True
    assert (
        np.abs(_picture(crop_folder / "done" / "ref_2.png") - _picture(crop_folder / "plain.png")).max() <= GRAY_LEVELS
    )


def test_remark_without_references_says_unguided(restore_crops: Restore, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore_crops("lq.png", "--aligned", "--output", "out.png", references=0) == 0
    assert "without guidance" in capsys.readouterr().err


def test_remark_on_more_references_than_in_training(
    restore_crops: Restore, crop_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(3, 16):
        (crop_folder / f"ref_{i}.png").write_bytes((crop_folder / f"ref_{i % 3}.png").read_bytes())
    assert restore_crops("lq.png", "--aligned", "--output", "out.png", references=16) == 0
    assert "trained with up to 5" in capsys.readouterr().err


def test_result_is_independent_of_other_pictures(restore_crops: Restore, crop_folder: Path) -> None:
    (crop_folder / "done").mkdir()
    assert restore_crops("lq.png", "ref_2.png", "--aligned", "--output", "done") == 0
    assert restore_crops("ref_2.png", "--aligned", "--output", "alone.png") == 0
    assert (crop_folder / "done" / "lq.png").exists()
    assert np.array_equal(_picture(crop_folder / "done" / "ref_2.png"), _picture(crop_folder / "alone.png"))


@pytest.mark.parametrize("separate", [False, True])
def test_separate_reference_encoding_changes_the_result(
    separate: bool, restore_crops: Restore, crop_folder: Path
) -> None:
    assert restore_crops("lq.png", "--aligned", "--output", "joint.png") == 0
    assert (
        restore_crops("lq.png", "--aligned", "--output", "x.png", *(["--reference-encoding", "separate"] * separate))
        == 0
    )
    assert np.array_equal(_picture(crop_folder / "x.png"), _picture(crop_folder / "joint.png")) != separate


ODD_PICTURES = {
    "gray": Image.new("L", (90, 70), 100),
    "rgba": Image.new("RGBA", (128, 128), (10, 20, 30, 128)),
    "palette": Image.new("P", (64, 64), 3),
    "16 bit": Image.fromarray(np.full((64, 64), 40000, np.uint16)),
    "large": Image.new("RGB", (900, 600), "red"),
}


@pytest.mark.parametrize("kind", ODD_PICTURES)
def test_every_kind_of_picture_is_restored(kind: str, restore_crops: Restore, crop_folder: Path) -> None:
    ODD_PICTURES[kind].save(crop_folder / "odd.png")
    assert restore_crops("odd.png", "--aligned", "--output", "out.png") == 0
    assert _picture(crop_folder / "out.png").shape == (128, 128, 3)


def test_strengths_reach_from_no_effect_to_the_default(
    restore_crops: Restore, crop_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Strength 0 keeps the picture, reference strength 0 means no references, and 1 is the default of both."""

    def run(output: str, *words: str, references: int = 3) -> dict[str, Any]:
        capsys.readouterr()
        options = ("--aligned", "--steps", "2", "--output", output, "--json")
        assert restore_crops("lq.png", *options, *words, references=references) == 0
        return json.loads(capsys.readouterr().out)["settings"]

    default = run("default.png")
    assert "strength" not in default and "reference_strength" not in default
    assert run("ones.png", "--strength", "1", "--reference-strength", "1") == default
    assert run("half_strength.png", "--strength", "0.5") == {**default, "strength": 0.5}
    run("no_strength.png", "--strength", "0")
    assert run("no_reference_strength.png", "--reference-strength", "0") == {**default, "reference_strength": 0.0}
    run("no_references.png", references=0)
    assert run("half_tokens.png", "--reference-tokens", "half") == {**default, "reference_tokens": "half"}
    pictures = {path.stem: _picture(path) for path in crop_folder.glob("*.png")}
    assert np.array_equal(pictures["default"], pictures["ones"])
    assert np.array_equal(pictures["no_reference_strength"], pictures["no_references"])
    assert np.abs(pictures["no_strength"] - pictures["lq"]).max() <= 1, "the published script truncates fractions"
    assert not np.array_equal(pictures["default"], pictures["half_strength"])
    assert not np.array_equal(pictures["default"], pictures["no_references"])
    assert not np.array_equal(pictures["default"], pictures["half_tokens"])
    assert restore_crops("lq.png", "--aligned", "--output", "bad.png", "--strength", "1.5") == 2
    assert "strength is 1.5" in capsys.readouterr().err
