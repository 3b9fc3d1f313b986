"""The likeness benchmark: its statistics against values by hand, and complete runs with a tiny random model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.likeness.benchmark import main
from benchmarks.likeness.cases import Cases
from benchmarks.likeness.protocol import (
    ARMS,
    ATTRIBUTES,
    JUDGED,
    METRICS,
    PHOTOS,
    QUICK_ARMS,
    TRUTH,
    Recognizers,
    score,
    to_batch,
    to_pictures,
)
from benchmarks.likeness.report import REQUIRED, compare, describe, gain
from benchmarks.likeness.scores import Run, merge, read_run
from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.data.attributes import Truth
from refldm_core.errors import SettingsError
from refldm_core.evaluation.statistics import difference, estimate
from refldm_core.face.identity import ArcFaceRecognizer
from refldm_core.model.unet import UNetSpec
from refldm_core.model.variants import ModelSpec
from refldm_core.model.vqgan import FirstStageSpec
from refldm_core.synthetic import conditions, person, portrait
from refldm_core.synthetic.dataset import picture_seed
from refldm_core.synthetic.regions import regions
from tests.face.dlib_stand_in import install
from tests.face.toys import save_arcface

FIRST = 900_000
SPEC = ModelSpec(
    UNetSpec(
        in_channels=8,
        out_channels=4,
        model_channels=32,
        channel_mult=(1, 2),
        num_res_blocks=1,
        attention_downsampling=(2,),
    ),
    FirstStageSpec(channels=32, channel_mult=(1, 2, 4), num_res_blocks=1, z_channels=4, embed_dim=4, codebook_size=64),
    latent_size=16,
)


def test_estimate_ignores_missing_values() -> None:
    result = estimate([1.0, None, 2.0, 6.0])
    assert result.count == 3
    assert result.mean == pytest.approx(3.0)
    # Squared deviations: 4 + 1 + 9 = 14; variance 7; error sqrt(7 / 3).
    assert result.error == pytest.approx(math.sqrt(7 / 3))
    assert result.errors_from_zero == pytest.approx(3 / math.sqrt(7 / 3))
    assert math.isnan(estimate([None]).mean)
    assert math.isnan(estimate([5.0]).error)


def test_difference_is_paired() -> None:
    result = difference([0.9, 0.5, 0.7, None, 0.3], [0.8, 0.3, 0.7, 0.1, 0.4])
    assert (result.count, result.share) == (4, 0.5)
    # Differences .1, .2, 0, -.1; mean .05; squared deviations .0025 + .0225 + .0025 + .0225 = .05.
    assert result.mean == pytest.approx(0.05)
    assert result.error == pytest.approx(math.sqrt(0.05 / 3 / 4))
    assert difference([1.0, 1.0], [0.5, 0.5]).errors_from_zero == math.inf
    assert difference([1.0, 1.0], [1.0, 1.0]).errors_from_zero == 0.0


def _run(own: float, none: float, wrong: float, iris: tuple[float, float] = (10.0, 20.0), name: str = "a") -> Run:
    """Return the scores of four people. The differences between pictures vary by 0.01 from person to person."""

    def scores_of(ids: float, psnr: float, iris_error: float, moles: float, i: int) -> dict[str, float | None]:
        values = {"ids": ids, "ids_published": ids, "ids_second": ids - 0.5, "psnr": psnr, "iris": iris_error}
        return {
            **values,
            "ssim": 0.5,
            "sharpness": 1.0,
            "moles": moles if i else None,
            "glasses": moles,
            "beard": moles,
        }

    people = {}
    for i in range(4):
        shift = 0.01 * (-1) ** i
        people[FIRST + i] = {
            "LQ": scores_of(0.1, 20.0, 30.0, 0.0, i),
            "none": scores_of(none, 22.0, iris[1], 0.1, i),
            "wrong 3": scores_of(wrong + shift, 22.0, 25.0, 0.1, i),
            "own 1": scores_of(own - 0.02, 23.0, 12.0, 0.5, i),
            "own 3": scores_of(own + shift, 23.0 + i, iris[0], 0.9, i),
        }
    model = {"file": name, "fingerprint": name, "weights": "ema", "parameters": 1, "first_stage": "f"}
    sampling = {"sampler": "ddim", "steps": 2, "spacing": "trailing", "guidance": 1.5, "eta": 0.0}
    about = {"model": model, "people": {"first": FIRST, "pictures": "p"}, "size": 96, "sampling": sampling}
    return Run({**about, "dtype": "float32", "recognizers": {}}, "a machine", people, 10.0, 20)


def _failed(run: Run) -> list[str]:
    return [
        str(requirement)
        for requirement in REQUIRED
        if not requirement.holds(gain(run, requirement.metric, requirement.better, requirement.worse))
    ]


def test_requirements_ask_for_margin_and_certainty() -> None:
    assert not _failed(_run(0.9, 0.8, 0.7))
    of_both_recognizers = [
        f"{label}: own 3 above none, by 0.05 or more and 3 standard errors" for label in ("IDS", "IDS, 2nd recognizer")
    ]
    assert _failed(_run(0.84, 0.8, 0.7)) == of_both_recognizers  # a gain of .04
    assert [text.partition(": ")[2][:17] for text in _failed(_run(0.9, 0.8, 0.79))] == ["none above wrong "] * 2
    assert _failed(_run(0.9, 0.8, 0.7, iris=(21.0, 20.0))) == ["iris error (\u0394E): own 3 below none"]
    scattered = _run(0.9, 0.8, 0.7)
    for i, scores in enumerate(scattered.people.values()):
        scores["own 3"]["ids"] = 0.9 + 0.2 * (-1) ** i  # the mean gain is .1, with an error of .115
    assert _failed(scattered) == of_both_recognizers[:1]
    text = describe(scattered)
    assert "| **FAIL** |" in text
    assert "+0.100 ± 0.115 | 0.9 | 50% | 4 |" in text
    below_lq = _run(0.9, 0.8, 0.7)
    for scores in below_lq.people.values():
        scores["LQ"]["ids_second"] = 0.6
    assert _failed(below_lq) == ["IDS, 2nd recognizer: own 3 above LQ"]


def test_half_of_the_moles_must_be_found() -> None:
    run = _run(0.9, 0.8, 0.7)
    assert "| moles found: own 3 above 50% | 0.90 ± 0.000 |  |  | 3 | PASS |" in describe(run)
    for scores in run.people.values():
        scores["own 3"]["moles"] = 0.4
    assert "| moles found: own 3 above 50% | 0.40 ± 0.000 |  |  | 4 | **FAIL** |" in describe(run)


@pytest.mark.parametrize("metric", ["moles", "ids_second", "beard"])
def test_a_missing_measurement_fails(metric: str) -> None:
    run = _run(0.9, 0.8, 0.7)
    for scores in run.people.values():
        scores["own 3"][metric] = None
    failed = _failed(run)
    assert failed and all(text.startswith(METRICS[metric].label) for text in failed)


def test_comparison_needs_equal_settings() -> None:
    text = compare({"plain": _run(0.8, 0.7, 0.6), "scaled": _run(0.85, 0.7, 0.6, name="b")})
    assert "| scaled - plain | +0.050 ± 0.000 |" in text
    other_settings = _run(0.9, 0.8, 0.7)
    other_settings.about["sampling"]["steps"] = 3
    with pytest.raises(SettingsError, match="sampling"):
        compare({"plain": _run(0.8, 0.7, 0.6), "scaled": other_settings})
    with pytest.raises(SettingsError, match="model"):
        merge([_run(0.8, 0.7, 0.6), _run(0.8, 0.7, 0.6, name="b")])


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recognizer") / "toy.onnx"
    save_arcface(path)
    return path


def test_the_truth_has_perfect_scores(recognizer: Path, cases: Path) -> None:
    all_cases = Cases(cases, FIRST, 3, 64)
    # At 64 pixels some eyes are too narrow to show an iris.
    case = next(case for seed in range(FIRST, FIRST + 3) if (case := all_cases.case(seed)).truth.left_iris.any())
    pictures = {"a copy": case.truth.picture, "LQ": case.lq}
    with pytest.warns(RuntimeWarning, match="divide by zero"):  # PSNR
        scores = score(case, {**pictures, "own photo": case.own[0]}, Recognizers(ArcFaceRecognizer(recognizer)))
    truth, lq, photo, attributes = scores.values()
    assert set(attributes) == set(ATTRIBUTES) and attributes["iris"] == 0.0
    assert [truth[name] for name in ("ids", "ids_published", "ssim", "sharpness")] == pytest.approx([1.0] * 4)
    assert (truth["psnr"], truth["iris"]) == (math.inf, 0.0)
    assert lq["sharpness"] is not None
    assert lq["sharpness"] < 0.5
    assert set(photo) == {"ids", "ids_published"}
    assert "ids_second" not in lq
    assert abs(to_pictures(to_batch([case.lq]))[0].astype(int) - case.lq).max() <= 1  # the published code truncates


def test_cases_are_rendered_once(cases: Path) -> None:
    """The files hold the same truth as a new rendering, and nothing is rendered again."""
    before = {path: path.stat().st_mtime_ns for path in cases.rglob("*.png")}
    all_cases = Cases(cases, FIRST, 3, 64)
    assert sum(all_cases.render(1)) == 0
    assert {path: path.stat().st_mtime_ns for path in cases.rglob("*.png")} == before and len(before) == 16 + 3
    subject, circumstances = person(FIRST + 1), conditions(picture_seed(FIRST + 1, 0))
    rendered = Truth.of(portrait(subject, circumstances, 64), regions(subject, circumstances, 64))
    case = all_cases.case(FIRST + 1)
    np.testing.assert_array_equal(case.truth.picture, rendered.picture)
    np.testing.assert_allclose(case.truth.moles, rendered.moles, atol=1e-3)
    for name in ("left_iris", "right_iris"):
        np.testing.assert_array_equal(getattr(case.truth, name), getattr(rendered, name))
    for name, mask in vars(rendered.regions).items():
        np.testing.assert_array_equal(getattr(case.truth.regions, name), mask)
    assert (case.truth.glasses, case.truth.beard) == (rendered.glasses, rendered.beard)
    np.testing.assert_array_equal(case.wrong[0], all_cases.case(FIRST + 2).own[0])
    with pytest.raises(SettingsError, match="64 pixels"):
        sum(Cases(cases, FIRST, 3, 96).render(1))


def test_shares_resume_merge_and_compare(
    tmp_path: Path, recognizer: Path, cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path)
    model = tmp_path / "random.safetensors"
    write_random_model(model, SPEC)
    words = ["--model", str(model), "--recognizer", str(recognizer), "--second-recognizer", "dlib"]
    words += ["--cases", str(cases), "--steps", "2", "--people", "3"]
    for part in ("1", "2"):
        share = ["--share", f"{part}/2", "--batch", "1", "--json", str(tmp_path / f"{part}.json")]
        assert main([*words, *share, "--sheet", str(tmp_path / "sheet.png"), "--sheet-people", "1"]) == 0
    first = tmp_path / "1.json"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 9 * 128
    data = json.loads(first.read_text(encoding="utf-8"))
    assert list(data["people"]) == [str(FIRST), str(FIRST + 2)]
    assert str(tmp_path) not in first.read_text(encoding="utf-8")
    for scores in data["people"].values():
        assert set(scores) == {*JUDGED, TRUTH, *PHOTOS}
        assert set(scores["own 3"]) == set(METRICS) - {"ids_trained"}
    assert data["faces"] == 2 * len(ARMS)

    # A continued run gives the same file, and restores only the missing person.
    del data["people"][str(FIRST + 2)]
    first.write_text(json.dumps(data), encoding="utf-8")
    again = [*words, "--share", "1/2", "--batch", "1", "--json", str(first), "--resume"]
    assert main(again) == 0
    assert read_run(first).faces == 3 * len(ARMS)
    assert main([*again, "--guidance", "1"]) == 2

    report, merged = tmp_path / "report.md", tmp_path / "all.json"
    merging = ["--merge", str(first), str(tmp_path / "2.json"), "--json", str(merged), "--output", str(report)]
    assert main(merging) == 0
    text = report.read_text(encoding="utf-8")
    assert f"People: 3 with seeds {FIRST} to {FIRST + 2}, 64 px" in text
    assert "Recognizer, second: dlib's recognizer (SHA-256 " in text and "| IDS, 2nd recognizer |" in text
    assert "The second recognizer's similarity is 1 - the Euclidean distance" in text
    assert main(["--compare", f"one={merged}", f"two={merged}"]) == 0

    # A batch gives the same scores as single people, up to rounding.
    together = [*words[:-1], "2", "--json", str(tmp_path / "together.json")]
    assert main(together) == 0
    batch, alone = read_run(tmp_path / "together.json"), read_run(merged).of([FIRST, FIRST + 1])
    for picture in JUDGED:
        assert batch.column(picture, "psnr") == pytest.approx(alone.column(picture, "psnr"), abs=0.05)


def test_quick_reading_judges_identity_only(tmp_path: Path, recognizer: Path, cases: Path, monkeypatch, capsys) -> None:
    install(monkeypatch, tmp_path)
    model = tmp_path / "random.safetensors"
    write_random_model(model, SPEC)
    words = ["--model", str(model), "--recognizer", str(recognizer), "--second-recognizer", "dlib", "--quick"]
    assert main([*words, "--cases", str(cases), "--steps", "1", "--people", "2"]) == 0
    printed = capsys.readouterr().out
    assert "| 2 people | IDS | IDS, 2nd recognizer |" in printed and "| own 3 - none | " in printed
    assert f"each of {2 * len(QUICK_ARMS)} faces" in printed and "PSNR" not in printed
    with pytest.raises(SystemExit):
        main([*words, "--cases", str(cases), "--json", str(tmp_path / "quick.json")])


def test_some_ways_of_restoring_are_reported_alone(
    tmp_path: Path, recognizer: Path, cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, scores = tmp_path / "random.safetensors", tmp_path / "scores.json"
    write_random_model(model, SPEC)
    words = ["--model", str(model), "--recognizer", str(recognizer), "--cases", str(cases), "--steps", "1"]
    assert main([*words, "--people", "2", "--arms", "own 3", "--json", str(scores)]) == 0
    printed = capsys.readouterr().out
    assert "3 references of their own" in printed and "with no references" not in printed
    assert main(["--compare", f"one={scores}", f"two={scores}"]) == 0
    assert "two - one" in capsys.readouterr().out
    assert set(read_run(scores).people[FIRST]) & set(ARMS) == {"own 3"}


def test_unusable_arguments_are_reported(
    tmp_path: Path, recognizer: Path, cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--merge", str(tmp_path / "none.json")]) == 2
    assert main(["--compare", "no-name"]) == 2
    assert main(["--merge", "a.json", "--output", str(tmp_path / "missing" / "report.md")]) == 2
    model = tmp_path / "random.safetensors"
    write_random_model(model, SPEC)
    words = ["--model", str(model), "--recognizer", str(recognizer), "--cases", str(cases)]
    assert main([*words, "--share", "3/2"]) == 2
    assert "I/N" in capsys.readouterr().err
    assert main([*words, "--people", "0"]) == 2
    assert "0 people from seed" in capsys.readouterr().err
