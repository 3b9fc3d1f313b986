"""`refldm benchmark-table`: complete runs on rendered people with the embedded models, in one sampling step."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from refldm_core.cli.main import main
from refldm_core.errors import SettingsError, UnsafePathError
from refldm_core.evaluation import benchmark
from refldm_core.evaluation.benchmark import Arm, require_distinct_results, result_path, seconds_in
from refldm_core.evaluation.dataset import Target

from ..embedded import needs_embedded
from ..face.dlib_stand_in import install
from ..face.toys import save_arcface

ROOT = Path(__file__).parents[2]

Run = Callable[..., int]

FAST = ("--model", "embedded", "--recognizer", "embedded", "--steps", "1", "--metrics", "ids", "psnr")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(["benchmark-table", "--output", "out", *FAST, *words])


def files(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.png"))


@needs_embedded
def test_table_of_synthetic_people_resumes(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--synthetic", "2", "--counts", "2", "0") == 0
    printed = capsys.readouterr().out
    table = Path("out/table.md").read_text(encoding="utf-8")
    for kind, published in (("moderate", "0.840"), ("severe", "0.676")):
        for method in ("degraded", "ReF-LDM, no references", "ReF-LDM, up to 2 references"):
            assert f"| {kind} | {method} | 2 | 2 |" in table and f"| {kind} | {method} |" in printed
        assert f"| {kind} | paper, on FFHQ-Ref |  |  | {published} |" in table
    assert "no yardstick" in table and "[severe](severe/report.html)" in table
    assert files("out/rendered") == [f"person_90000{seed}_{which}.png" for seed in (0, 1) for which in range(6)]
    restored = files("out/restored")
    assert len(restored) == 2 * 2 * 2
    data = json.loads(Path("out/table.json").read_text(encoding="utf-8"))
    severe = data["summaries"]["severe"]
    assert [method["seconds"] is None for method in severe["methods"]] == [True, False, False]
    assert {comparison["baseline"] for comparison in severe["comparisons"]} == {"ReF-LDM, no references"}
    with Path("out/seconds.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and all(float(row["seconds"]) > 0 for row in rows)

    # `refldm degrade` and `refldm restore` write the same pictures with the same seeds.
    Path("low").mkdir()
    assert main(["degrade", "out/rendered/person_900000_0.png", "--output", "low", "--kind", "severe"]) == 0
    assert _same("low/person_900000_0.png", "out/low/severe/person_900000_0.png")
    photos = [f"out/rendered/person_900000_{i}.png" for i in (1, 2)]
    words = ["--reference", *photos, "--aligned", "--output", "face.png", "--model", "embedded", "--steps", "1"]
    assert main(["restore", "low/person_900000_0.png", *words]) == 0
    assert _same("face.png", "out/restored/severe/references_2/person_900000_0.png")

    # A resumed run restores the missing picture and a new row, and nothing twice.
    Path("out/restored/severe/references_2/person_900001_0.png").unlink()
    restored_paths: list[Path] = []
    restore_target = benchmark.restore_target

    def restore_and_record(restorer: object, lq: Path, references: object, path: Path, settings: object) -> None:
        restored_paths.append(path.relative_to("out/restored"))
        restore_target(restorer, lq, references, path, settings)  # type: ignore[arg-type]

    monkeypatch.setattr("refldm_core.cli.benchmark_table.restore_target", restore_and_record)
    capsys.readouterr()
    assert run("--synthetic", "2", "--counts", "0", "1", "2") == 2, "neither --resume nor --overwrite"
    assert "holds a benchmark already" in capsys.readouterr().err
    assert run("--synthetic", "2", "--counts", "0", "1", "2", "--resume") == 0
    assert sorted(path.as_posix() for path in restored_paths) == [
        *(f"{kind}/references_1/person_90000{seed}_0.png" for kind in ("moderate",) for seed in (0, 1)),
        *(f"severe/references_1/person_90000{seed}_0.png" for seed in (0, 1)),
        "severe/references_2/person_900001_0.png",
    ]
    assert "ReF-LDM, 1 reference |" in Path("out/table.md").read_text(encoding="utf-8")
    assert run("--synthetic", "2", "--resume", "--guidance", "2") == 2
    assert "other sampling" in capsys.readouterr().err
    before = Path("out/rendered/references.csv").read_bytes()
    assert run("--synthetic", "1", "--resume") == 2
    assert "other people" in capsys.readouterr().err
    assert Path("out/rendered/references.csv").read_bytes() == before

    # With another recognizer, the pictures are judged again but not restored again.
    restored_paths.clear()
    save_arcface(Path("toy.onnx"))
    assert run("--synthetic", "2", "--counts", "0", "1", "2", "--resume", "--recognizer", "toy.onnx") == 0
    assert not restored_paths
    again = json.loads(Path("out/table.json").read_text(encoding="utf-8"))["summaries"]["severe"]
    assert again["methods"][0]["means"]["ids"] != severe["methods"][0]["means"]["ids"]
    assert again["methods"][0]["means"]["psnr"] == severe["methods"][0]["means"]["psnr"]


@needs_embedded
def test_published_ids_is_left_out_beside_another_measure(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The paper's IDS is a cosine similarity, which cannot be compared with dlib's similarity."""
    install(monkeypatch, tmp_path)
    assert run("--synthetic", "1", "--counts", "0", "--kinds", "severe", "--recognizer", "dlib") == 0
    table = Path("out/table.md").read_text(encoding="utf-8")
    assert "- IDS: judged by dlib's recognizer. Similarity is 1 - the Euclidean distance" in table
    assert "| severe | paper, on FFHQ-Ref |  |  |  |" in table and "0.676" not in table and "cosine" not in table


def _same(first: str, second: str) -> bool:
    return bool((np.asarray(Image.open(first)) == np.asarray(Image.open(second))).all())


@needs_embedded
def test_damaged_pictures_are_reported_and_degraded_pictures_are_used(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pictures are larger than the model's, one is damaged, and --low names the degraded pictures of one kind."""
    from refldm_core.synthetic.dataset import numbered_portrait

    Path("faces").mkdir()
    Path("named").mkdir()
    lines = ["gt_image,ref_image"]
    for seed in range(3):
        for number in range(2):
            Image.fromarray(numbered_portrait(seed, number, 112).picture).save(f"faces/{seed}{number}.jpg", quality=95)
        lines.append(f"{seed}0.jpg,['{seed}1.jpg']")
        Image.fromarray(numbered_portrait(seed, 0, 112).picture).save(f"named/{seed}0.png")
    Path("references.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    Path("faces/10.jpg").write_bytes(b"no picture")
    dataset = ("--dataset", "faces", "--references", "references.csv", "--counts", "1")
    assert run(*dataset, "--low", "moderate=named", "--limit", "2") == 2
    captured = capsys.readouterr()
    assert "10.jpg, severe" in captured.err and "10.jpg is not a picture" in captured.err
    assert Image.open("out/restored/severe/references_1/00.jpg.png").size == (112, 112)
    assert files("out/restored/moderate") == ["references_1/00.jpg.png", "references_1/10.jpg.png"]
    assert files("out/low") == ["severe/00.jpg.png"]
    severe = json.loads(Path("out/table.json").read_text(encoding="utf-8"))["summaries"]["severe"]
    assert {(finding["kind"], finding["what"]) for finding in severe["findings"]} == {
        ("prediction missing", "10.jpg"),
        ("corrupt picture", "10.jpg"),
    }
    assert severe["methods"][1]["pictures"] == 1
    assert run(*dataset, "--low", "moderate=named", "--limit", "1", "--resume") == 0


@needs_embedded
@pytest.mark.skipif(sys.platform == "win32", reason="torchrun's store needs libuv, which Windows builds may lack")
def test_two_processes_share_the_faces(tmp_path: Path) -> None:
    words = [
        "--synthetic",
        "2",
        "--counts",
        "1",
        "--kinds",
        "severe",
        "--output",
        str(tmp_path / "out"),
        *FAST,
        "--json",
    ]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    process = subprocess.run(
        [*launch, "-m", "refldm_core", "benchmark-table", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    severe = json.loads(process.stdout)["summaries"]["severe"]
    assert [method["pictures"] for method in severe["methods"]] == [2, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "No test set was named"),
        (("--dataset", "faces"), "No test set was named"),
        (("--synthetic", "0"), "0 people"),
        (("--synthetic", "2", "--counts", "-1"), "--counts is below 0"),
        (("--synthetic", "2", "--low", "severe"), "--low severe cannot be used"),
        (("--synthetic", "2", "--kinds", "severe", "--low", "moderate=x"), "--low moderate=x cannot be used"),
    ],
)
@needs_embedded
def test_unusable_arguments_are_reported(
    words: tuple[str, ...], message: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    assert message in capsys.readouterr().err


@needs_embedded
def test_targets_with_one_result_file_are_refused_before_restoring(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("faces").mkdir()
    for name in ("A.png", "a.png", "c.png"):
        Image.new("RGB", (16, 16)).save(f"faces/{name}")
    Path("test.csv").write_text("gt_image,ref_image\nA.png,['c.png']\na.png,['c.png']\n", encoding="utf-8")
    assert run("--dataset", "faces", "--references", "test.csv") == 2
    assert "The results of A.png and a.png would be one file" in capsys.readouterr().err
    assert not Path("out/restored").exists()


def test_result_names_must_differ_in_more_than_case() -> None:
    def require(*names: str) -> None:
        require_distinct_results([Target(name, Path(name), name) for name in names])

    require("a.png", "a.jpg", "sub/a.png", "b.png")
    for names in (("a.jpg", "A.JPG"), ("a.jpg", "a.jpg.png"), ("\xe9.png", "e\u0301.png")):
        with pytest.raises(SettingsError, match="would be one file"):
            require(*names)


def test_labels_paths_and_missing_seconds() -> None:
    assert [Arm(count).label for count in (0, 1, 5)] == [
        "ReF-LDM, no references",
        "ReF-LDM, 1 reference",
        "ReF-LDM, up to 5 references",
    ]
    assert result_path(Target("sub/a.jpg", Path("a.jpg"), "a"), Path("x")) == Path("x/sub/a.jpg.png")
    assert result_path(Target("a.png", Path("a.png"), "a"), Path("x")) == Path("x/a.png")
    assert seconds_in(Path("nothing.png")) is None
    with pytest.raises(UnsafePathError, match="cannot be used"):
        result_path(Target("../a.png", Path("a.png"), "a"), Path("x"))
