"""`refldm evaluate` on files and options that cannot be used: the report names them, and the rest is judged."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from .evaluations import ALL, add_noise, read_findings, read_rows, read_summary, smooth_picture

Evaluate = Callable[..., int]


def test_unusable_files_are_named_and_the_rest_is_judged(
    evaluate: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    truncated = Path("good/a0.png").read_bytes()
    Path("good/a0.png").write_bytes(truncated[: len(truncated) // 2])  # a corrupt prediction
    Path("truth/b0.png").write_bytes(b"no picture")  # a corrupt truth
    Path("truth/c9.png").write_bytes(b"no picture")  # a corrupt reference
    Path("good/c0.png").unlink()  # a missing prediction
    Image.new("RGB", (64, 64)).save("good/stranger.png")  # an extra prediction
    Image.new("RGB", (32, 64)).save("good/d0.png")  # another size
    shutil.copy("poor/e0.png", "poor/f0.png")  # one prediction for two people
    shutil.copy("truth/a0.png", "truth/g0.png")  # the same true picture twice
    shutil.copy("good/f0.png", "good/g0.png")
    shutil.copy("poor/a0.png", "poor/g0.png")
    with Path("references.csv").open("a", encoding="utf-8") as file:
        file.write("g0.png,[]\n")  # a person with one photo
    assert evaluate(*ALL) == 2
    assert read_findings() == {
        ("corrupt picture", "good", "a0.png"),
        ("corrupt picture", "", "b0.png"),
        ("corrupt picture", "", "c9.png"),
        ("prediction missing", "good", "c0.png"),
        ("extra prediction", "good", "stranger.png"),
        ("other size", "good", "d0.png"),
        ("duplicate", "poor", "e0.png"),
        ("duplicate", "poor", "f0.png"),
        ("duplicate", "", "g0.png"),
        ("one photo", "", "g0.png"),
        *(("duplicate", "good", name) for name in ("f0.png", "g0.png")),
    }
    captured = capsys.readouterr()
    assert "to mend:" in captured.out and "other size (good): d0.png: d0.png is 32x64 pixels" in captured.out
    words = Path("out/report.md").read_text(encoding="utf-8")
    assert all(name in words for _, _, name in read_findings())
    good, poor = read_summary()["methods"]
    assert (good["pictures"], poor["pictures"]) == (2, 4)
    findings = read_findings()
    assert evaluate(*ALL, "--resume") == 2
    assert read_findings() == findings, "a resumed run names the same findings"


def test_person_with_one_photo_is_no_error(evaluate: Evaluate) -> None:
    with Path("references.csv").open("a", encoding="utf-8") as file:
        file.write("g0.png,[]\n")
    Image.fromarray(smooth_picture(50)).save("truth/g0.png")
    for method in ("good", "poor"):
        add_noise(smooth_picture(50), 10, 0 if method == "good" else 1).save(f"{method}/g0.png")
    assert evaluate(*ALL) == 0
    assert read_findings() == {("one photo", "", "g0.png")}
    assert read_rows()["good", "g0.png"]["ids"] and not read_rows()["good", "g0.png"]["references"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--predictions", "good"], "the name is taken"),
        (["--predictions", "nowhere"], "nowhere is no folder"),
        (["--references", "missing.csv"], "missing.csv cannot be read"),
        (["--recognizer", "missing.onnx"], "missing.onnx"),
        (["--second-recognizer", "dlib"], "dlib-bin"),
        (["--baseline", "theirs"], "no method theirs"),
        (["--seconds", "good=never"], "--seconds good=never cannot be used"),
        (["--seconds", "theirs=1"], "--seconds theirs=1 cannot be used"),
        (["--people", "references.csv"], "the columns image and person"),
    ],
)
def test_unusable_option_is_an_error_before_any_work(
    words: list[str],
    message: str,
    evaluate: Evaluate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert evaluate(*words) == 2
    assert message in capsys.readouterr().err
    assert not Path("out/per_image.csv").exists()
