"""Fixtures that run `refldm restore` and `refldm evaluate` as a user runs them, on files in a temporary folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from refldm_core.cli import faces
from refldm_core.cli.main import main
from refldm_core.cli.people import FaceTools
from refldm_core.pipeline import Restorer

from ..face.toys import save_arcface
from ..weights import TinyFiles
from .evaluations import METRICS, TARGETS, add_noise, smooth_picture
from .photo_samples import SKIN, StandInDetector


@pytest.fixture
def crop_folder(tmp_path: Path, golden: dict[str, Tensor]) -> Path:
    """A folder with lq.png and ref_0.png to ref_2.png, the golden pictures."""
    Image.fromarray(golden["in.lq_u8"][0].movedim(0, -1).numpy()).save(tmp_path / "lq.png")
    for i, picture in enumerate(golden["in.ref_u8"][0]):
        Image.fromarray(picture.movedim(0, -1).numpy()).save(tmp_path / f"ref_{i}.png")
    return tmp_path


@pytest.fixture
def restore_crops(crop_folder: Path, tiny: TinyFiles, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `refldm restore` in `crop_folder`, by default with three references and one step. Returns the exit code."""
    monkeypatch.chdir(crop_folder)

    def run(*words: str, references: int = 3) -> int:
        model = ["--model", str(tiny.ckpt), "--config", str(tiny.config)] if "--model" not in words else []
        steps = ["--steps", "1"] if not {"--steps", "--preset"} & set(words) else []
        refs = ["--reference", *(f"ref_{i}.png" for i in range(references))] if references else []
        return main(["restore", *words, *refs, *model, *steps])

    return run


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> StandInDetector:
    """The detector of `restore_photo`. Every face is restored as a patch of the color `SKIN`."""

    def restore_skin(self: Restorer, crops: Tensor, *args: object) -> Tensor:
        detector.crops = crops
        return (torch.as_tensor(SKIN * 2 - 1).float().view(1, 3, 1, 1)).expand(len(crops), 3, 128, 128).clone()

    detector = StandInDetector()
    monkeypatch.setattr(faces, "load_tools", lambda *args: FaceTools(detector, None, None))
    monkeypatch.setattr(Restorer, "restore", restore_skin)
    return detector


@pytest.fixture
def restore_photo(
    tiny: TinyFiles,
    detector: StandInDetector,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., dict[str, Any]]:
    """Runs `refldm restore` on one photo in an empty folder. Returns the report of the photo, or the error."""
    monkeypatch.chdir(tmp_path)

    def run(source: str, target: str, *words: str) -> dict[str, Any]:
        model = ["--model", str(tiny.ckpt), "--config", str(tiny.config), "--overwrite"]
        paste = [] if "--aligned" in words else ["--color", "none"]
        code = main(["restore", source, "--output", target, *model, *paste, *words, "--json"])
        report = json.loads(capsys.readouterr().out)
        assert code == (2 if "error" in report else 0)
        return report["error"] if code else report["restored"][0]

    return run


@pytest.fixture(scope="session")
def evaluation_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures and references of six people, the results of two methods, and two recognizers.

    One person has two targets, all other people have one.
    """
    folder = tmp_path_factory.mktemp("files")
    for name in ("truth", "good", "poor"):
        (folder / name).mkdir()
    lines = ["gt_image,ref_image"]
    for i, name in enumerate(TARGETS):
        picture, reference = smooth_picture(i), f"{name[0]}9.png"
        Image.fromarray(picture).save(folder / "truth" / f"{name}.png")
        add_noise(picture, 20, ord(name[0])).save(folder / "truth" / reference)
        add_noise(picture, 8, 100 + i).save(folder / "good" / f"{name}.png")
        add_noise(picture, 60, 200 + i).save(folder / "poor" / f"{name}.png")
        lines.append(f"{name}.png,['{reference}']")
    (folder / "references.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    save_arcface(folder / "first.onnx", 0)
    save_arcface(folder / "second.onnx", 1)
    return folder


@pytest.fixture
def evaluate(evaluation_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs `refldm evaluate` in a copy of `evaluation_files`, with results in `out`. Returns the exit code."""
    folder = tmp_path / "here"
    shutil.copytree(evaluation_files, folder)
    monkeypatch.chdir(folder)

    def run(*words: str, predictions: tuple[str, ...] = ("good", "poor"), metrics: tuple[str, ...] = METRICS) -> int:
        always = ["--ground-truth", "truth", "--output", "out", "--recognizer", "first.onnx"]
        return main(["evaluate", "--predictions", *predictions, *always, *metrics, *words])

    return run
