"""`refldm evaluate` as a user runs it: a toy recognizer, small pictures, everything that can be wrong with them."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from refldm_core.cli.main import main
from refldm_core.evaluation import target_judge
from refldm_core.evaluation.identity import DLIB, open_identity_judge
from refldm_core.evaluation.metrics import embed_picture
from refldm_core.face.identity import ArcFaceRecognizer, published_crop
from refldm_core.images import load_image, u8_to_tensor

from ..face.dlib_stand_in import install
from ..face.toys import save_arcface

Run = Callable[..., int]

TARGETS = ("a0", "a1", "b0", "c0", "d0", "e0", "f0")
METRICS = ("--metrics", "ids", "ids_second", "psnr", "ssim")


def smooth(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))


def noisy(picture: np.ndarray, strength: float, seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).normal(0, strength, picture.shape)
    return Image.fromarray((picture + noise).round().clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people with a reference each, one of them with two targets; two methods; two recognizers."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("truth", "good", "poor"):
        (folder / name).mkdir()
    lines = ["gt_image,ref_image"]
    for i, name in enumerate(TARGETS):
        picture, reference = smooth(i), f"{name[0]}9.png"
        Image.fromarray(picture).save(folder / "truth" / f"{name}.png")
        noisy(picture, 20, ord(name[0])).save(folder / "truth" / reference)
        noisy(picture, 8, 100 + i).save(folder / "good" / f"{name}.png")
        noisy(picture, 60, 200 + i).save(folder / "poor" / f"{name}.png")
        lines.append(f"{name}.png,['{reference}']")
    (folder / "references.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    save_arcface(folder / "first.onnx", 0)
    save_arcface(folder / "second.onnx", 1)
    return folder


@pytest.fixture
def run(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in a copy of the files, with output in `out`."""
    here = tmp_path / "here"
    shutil.copytree(files, here)
    monkeypatch.chdir(here)

    def run(*words: str, predictions: tuple[str, ...] = ("good", "poor"), metrics: tuple[str, ...] = METRICS) -> int:
        always = ["--ground-truth", "truth", "--output", "out", "--recognizer", "first.onnx"]
        return main(["evaluate", "--predictions", *predictions, *always, *metrics, *words])

    return run


ALL = ("--references", "references.csv", "--second-recognizer", "second.onnx")


def rows() -> dict[tuple[str, str], dict[str, str]]:
    with Path("out/per_image.csv").open(encoding="utf-8", newline="") as file:
        return {(row["method"], row["image"]): row for row in csv.DictReader(file)}


def summary() -> dict:
    return json.loads(Path("out/summary.json").read_text(encoding="utf-8"))


def found() -> set[tuple[str, str, str]]:
    return {(one["kind"], one["method"], one["what"]) for one in summary()["findings"]}


def test_methods_side_by_side(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*ALL, "--seconds", "good=1.5") == 0
    printed = capsys.readouterr().out
    assert "| good | 7 | 6 |" in printed and "1.50" in printed
    table = rows()
    assert len(table) == 14 and table["good", "a1.png"]["person"] == table["good", "a0.png"]["person"]

    def embedding(path: str, recognizer: ArcFaceRecognizer) -> np.ndarray:
        picture = u8_to_tensor(torch.tensor(np.asarray(load_image(Path(path)))).movedim(-1, 0))
        return recognizer.embed(published_crop(picture[None]))[0].astype(np.float64)

    for column, likeness, file in (
        ("ids", "references", "first.onnx"),
        ("ids_second", "references_second", "second.onnx"),
    ):
        recognizer = ArcFaceRecognizer(Path(file))
        own = embedding("good/a1.png", recognizer)
        row = table["good", "a1.png"]
        assert float(row[column]) == pytest.approx(own @ embedding("truth/a1.png", recognizer), abs=1e-6)
        assert float(row[likeness]) == pytest.approx(own @ embedding("truth/a9.png", recognizer), abs=1e-6)

    told = summary()
    good, poor = told["methods"]
    assert good["means"]["psnr"]["mean"] == pytest.approx(
        np.mean([float(row["psnr"]) for (method, _), row in table.items() if method == "good"])
    )
    assert good["means"]["psnr"]["low"] < good["means"]["psnr"]["mean"] < good["means"]["psnr"]["high"]
    assert good["seconds"] == 1.5 and poor["seconds"] is None
    compared = {one["metric"]: one for one in told["comparisons"]}
    # Six people, all worse: the smallest p that there can be; six tests, of which the smallest counts six times.
    assert compared["psnr"]["p"] == pytest.approx(2 / 2**6) and compared["psnr"]["difference"]["mean"] < 0
    assert compared["psnr"]["p_holm"] == pytest.approx(6 * 2 / 2**6)
    assert compared["psnr"]["method"] == "poor" and compared["psnr"]["share"] == 0.0


def test_the_reports(run: Run) -> None:
    assert run(*ALL) == 0
    page = Path("out/report.html").read_text(encoding="utf-8")
    inside = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(inside) > 20 and all(link.startswith("data:image/png;base64,") for link in inside), "self-contained"
    assert "**" not in page and page.count("<b>") == 6
    assert re.search(r"<b>1\.000</b>\s*<small>\[1\.000, 1\.000\]</small>", page)
    words = Path("out/report.md").read_text(encoding="utf-8")
    assert "## Differences" in words and "Best and worst" in words and "Every picture was judged" in words
    assert "IDS, 2nd recognizer \u2191" in words and "95% interval" in words
    assert words.count("**") == 2 * 6, "the best of each column"


def test_dlib_as_the_second_recognizer(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    Path("references.csv").write_text(
        Path("references.csv").read_text(encoding="utf-8").replace("['a9.png']", "\"['a9.png', 'b9.png']\""),
        encoding="utf-8",
    )
    words = ("--references", "references.csv", "--second-recognizer", "dlib")
    assert run(*words) == 0
    judge = open_identity_judge(DLIB)
    own, truth, *photos = (
        embed_picture(judge, np.asarray(load_image(Path(name))))[0].astype(np.float64)
        for name in ("good/a1.png", "truth/a1.png", "truth/a9.png", "truth/b9.png")
    )
    row = rows()["good", "a1.png"]
    assert float(row["ids_second"]) == pytest.approx(1.0 - np.linalg.norm(own - truth), abs=1e-6)
    distances = [np.linalg.norm(own - photo) for photo in photos]
    assert float(row["references_second"]) == pytest.approx(1.0 - np.mean(distances), abs=1e-6)
    told = Path("out/report.md").read_text(encoding="utf-8").splitlines()
    assert (
        "- IDS: judged by first.onnx. Similarity is the cosine of the embeddings of the published center crop." in told
    )
    (line,) = [line for line in told if line.startswith("- IDS, 2nd recognizer: judged by")]
    assert "judged by dlib's recognizer. Similarity is 1 - the Euclidean distance of dlib's descriptors" in line
    assert sum("cosine" in line for line in told) == 1
    assert run(*words, "--resume") == 0, "the same recognizer"
    (tmp_path / "dlib_face_recognition_resnet_model_v1.dat").write_bytes(b"another network")
    assert run(*words, "--resume") == 2


def test_dlib_as_the_only_recognizer(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    assert run("--references", "references.csv", "--recognizer", "dlib") == 0
    for report in ("report.md", "report.html"):
        assert "cosine" not in Path("out", report).read_text(encoding="utf-8")


def test_a_metric_without_weights_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    def create_metric(name: str, device: object) -> object:
        raise OSError("no network")

    monkeypatch.setattr(pyiqa, "create_metric", create_metric)
    wanted = ("--metrics", "psnr", "lpips", "fid", "ids_second")
    assert run("--references", "references.csv", metrics=wanted) == 0
    told = summary()
    assert set(told["absent"]) == {"ids_second", "lpips", "fid"} and "no network" in told["absent"]["lpips"]
    words = Path("out/report.md").read_text(encoding="utf-8")
    assert "| n/a |" in words and "LPIPS is not available: pyiqa could not get its weights (no network)." in words


def test_a_metric_that_cannot_judge_a_picture(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    asked: list[str] = []

    class Picky:
        metric_mode = "NR"

        def __call__(self, picture: torch.Tensor) -> torch.Tensor:
            asked.append("niqe")
            if len(asked) == 1:
                raise AssertionError("too small\nfor this")
            return picture.mean() if len(asked) > 2 else torch.tensor(math.nan)

    def fid(first: str, second: str, **options: object) -> float:
        assert len(list(Path(first).iterdir())) == len(list(Path(second).iterdir())) == 7
        asked.append("fid")
        return 12.5

    monkeypatch.setattr(pyiqa, "create_metric", lambda name, device: fid if name == "fid" else Picky())
    words = ("--references", "references.csv")
    assert run(*words, metrics=("--metrics", "niqe", "fid")) == 0
    assert found() == {("no value", "good", "a0.png"), ("no value", "poor", "a0.png")}
    told = summary()
    assert [finding["detail"] for finding in told["findings"]] == [
        "NIQE has no value (too small)",
        "NIQE has no value (it is not a number)",
    ]
    assert [method["means"]["niqe"]["pictures"] for method in told["methods"]] == [6, 6]
    assert [method["sets"] for method in told["methods"]] == [{"fid": 12.5}] * 2
    asked.clear()
    asked.extend(["niqe"] * 2)
    assert run(*words, "--resume", metrics=("--metrics", "niqe", "fid")) == 0
    assert asked == ["niqe"] * 4, "what is known is not computed again, of the sets neither"
    assert not found()


def test_interrupt_and_resume(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*ALL) == 0
    whole = Path("out/per_image.csv").read_bytes()
    results = summary()
    shutil.rmtree("out")

    judged: list[str] = []
    real = target_judge.load_image

    def counted(path: Path) -> Image.Image:
        if path.parent.name in ("good", "poor"):
            judged.append(f"{path.parent.name}/{path.name}")
            if len(judged) == 6:
                raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(target_judge, "load_image", counted)
    assert run(*ALL) == 130
    assert len(rows()) == 5, "what was done before"
    assert run(*ALL) == 2
    assert "holds an evaluation already" in capsys.readouterr().err
    assert run(*ALL, "--resume") == 0
    assert len(judged) == 6 + 9 and len(set(judged)) == 14, "nothing twice but what was interrupted"
    assert Path("out/per_image.csv").read_bytes() == whole
    assert summary() == results

    judged.clear()
    noisy(smooth(0), 5, 0).save("good/a0.png")
    judged.extend(["later"] * 6)
    assert run(*ALL, "--resume") == 0
    assert judged[6:] == ["good/a0.png"], "a changed file is judged again"
    assert rows()["poor", "a0.png"]["psnr"] == _cell(whole, "poor", "a0.png", "psnr")
    assert rows()["good", "a0.png"]["psnr"] != _cell(whole, "good", "a0.png", "psnr")

    shutil.copy("second.onnx", "first.onnx")
    assert run(*ALL, "--resume") == 2
    assert "other recognizers: ids" in capsys.readouterr().err
    assert run(*ALL, "--overwrite") == 0


def _cell(table: bytes, method: str, image: str, column: str) -> str:
    lines = csv.DictReader(table.decode().splitlines())
    return next(row[column] for row in lines if (row["method"], row["image"]) == (method, image))


def test_later_methods_and_metrics_are_added(run: Run) -> None:
    references = ("--references", "references.csv")
    assert run(*references, predictions=("good",), metrics=("--metrics", "psnr")) == 0
    before = rows()["good", "a0.png"]["psnr"]
    assert run(*references, "--resume", "--baseline", "poor") == 0
    assert rows()["good", "a0.png"]["psnr"] == before and rows()["good", "a0.png"]["ids"]
    assert {one["method"] for one in summary()["comparisons"]} == {"good"}


def test_without_a_csv_every_picture_is_its_own_person(run: Run) -> None:
    for name in "abcdef":
        Path(f"truth/{name}9.png").unlink()
    assert run(metrics=("--metrics", "psnr")) == 0
    assert [method["people"] for method in summary()["methods"]] == [7, 7]


def test_everything_that_is_wrong_is_named_and_the_rest_is_done(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    truncated = Path("good/a0.png").read_bytes()
    Path("good/a0.png").write_bytes(truncated[: len(truncated) // 2])  # a corrupt prediction
    Path("truth/b0.png").write_bytes(b"no picture")  # a corrupt truth
    Path("truth/c9.png").write_bytes(b"no picture")  # a corrupt reference
    Path("good/c0.png").unlink()  # a missing prediction
    Image.new("RGB", (64, 64)).save("good/stranger.png")  # an extra one
    Image.new("RGB", (32, 64)).save("good/d0.png")  # another size
    shutil.copy("poor/e0.png", "poor/f0.png")  # one file for two people
    shutil.copy("truth/a0.png", "truth/g0.png")  # the same true picture twice
    shutil.copy("good/f0.png", "good/g0.png")
    shutil.copy("poor/a0.png", "poor/g0.png")
    with Path("references.csv").open("a", encoding="utf-8") as file:
        file.write("g0.png,[]\n")  # a person with one photo
    assert run(*ALL) == 2
    assert found() == {
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
    assert all(name in words for _, _, name in found())
    good, poor = summary()["methods"]
    assert (good["pictures"], poor["pictures"]) == (2, 4)
    named = found()
    assert run(*ALL, "--resume") == 2
    assert found() == named, "a resumed run names them again"


def test_a_person_with_one_photo_needs_no_mending(run: Run) -> None:
    with Path("references.csv").open("a", encoding="utf-8") as file:
        file.write("g0.png,[]\n")
    Image.fromarray(smooth(50)).save("truth/g0.png")
    for method in ("good", "poor"):
        noisy(smooth(50), 10, 0 if method == "good" else 1).save(f"{method}/g0.png")
    assert run(*ALL) == 0
    assert found() == {("one photo", "", "g0.png")}
    assert rows()["good", "g0.png"]["ids"] and not rows()["good", "g0.png"]["references"]


def test_seconds_from_what_restore_and_the_table_write(run: Run) -> None:
    entries = [{"seconds": 3.0, "faces": [{}, {}]}, {"seconds": 2.5}]
    Path("restored.json").write_text(json.dumps({"restored": entries}), encoding="utf-8")
    Path("table.csv").write_text("method,seconds\npoor,1\npoor,2\nother,9\n", encoding="utf-8")
    psnr = ("--metrics", "psnr")
    assert run("--references", "references.csv", "--seconds", "good=restored.json", "poor=table.csv", metrics=psnr) == 0
    assert [method["seconds"] for method in summary()["methods"]] == [2.0, 1.5]


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
def test_what_cannot_be_done(
    words: list[str], message: str, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert not Path("out/per_image.csv").exists()


def test_another_table_is_left_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*ALL, metrics=("--metrics", "psnr")) == 0
    Path("out/per_image.csv").write_text("name,age\nanna,7\n", encoding="utf-8")
    assert run(*ALL, "--resume", metrics=("--metrics", "psnr")) == 2
    assert "another table" in capsys.readouterr().err
    assert Path("out/per_image.csv").read_text(encoding="utf-8") == "name,age\nanna,7\n"
