from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from refldm_core import embedded
from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.cli.main import main
from refldm_core.data.degradation import RANGES, degrade, draw
from refldm_core.demo import showing
from refldm_core.demo.sheet import contact_sheet, marked
from refldm_core.demo.showing import COLUMNS, Row, to_picture, to_tensor
from refldm_core.demo.story import NAMES, draw_story, workflow_inputs
from refldm_core.errors import CheckpointError
from refldm_core.face.alignment import face_from_landmarks
from refldm_core.face.types import Landmarks5
from refldm_core.pipeline import SamplingSettings

from ..embedded import needs_embedded

ROOT = Path(__file__).parents[2]


@needs_embedded
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "SAMPLING", SamplingSettings(steps=2, sampler="dpmpp_2m"))
    assert main(["demo", "--output", str(tmp_path / "demo"), "--json"]) == 0
    said = capsys.readouterr()
    assert "trained on" not in said.err, "the demo's people are those that the models know"
    told = json.loads(said.out)
    assert all(Path(path).is_file() for path in told["pictures"])
    assert {row["name"] for row in told["faces"]} <= set(NAMES) and len(told["faces"]) >= 3
    assert all(row["similarity"]["truth"] == pytest.approx(1.0) for row in told["faces"])
    assert list(told["mean"]) == list(COLUMNS)
    assert all(1 <= len(names) <= showing.REFERENCES for names in told["references"].values())
    assert not set(told["references"][NAMES[0]]) & {"blurred.png", "somebody.png"}
    lq, restored = (np.array(Image.open(tmp_path / "demo" / name)) for name in ("03_group_lq.png", "05_restored.png"))
    assert (lq != restored).any() and (lq == restored).all(axis=-1).mean() > 0.1, "only the faces change"


@needs_embedded
def test_embedded_models_go_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "embedded", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["missing"] == [] and told["parts"]["diffusion"]["spec"]["latent_size"]["value"] == 24
    out = tmp_path / "copy.safetensors"
    assert main(["convert", "embedded", "--output", str(out), "--dtype", "float16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["latent_size"] == 24
    story = draw_story(2)
    pictures = {"group": story.lq, "anna": story.albums["Anna"]["anna_1.png"]}
    for name, picture in pictures.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    words = ["restore", str(tmp_path / "group.png"), "--person", f"anna={tmp_path / 'anna.png'}", "--match", "-1"]
    words += ["--output", str(tmp_path / "out.png"), "--steps", "1"]
    for part in ("model", "detector", "recognizer"):
        words += [f"--{part}", "embedded"]
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    warning = json.loads(said.out)["warning"]
    assert warning.startswith("The model, the detector and the recognizer were trained on drawn people only: ")
    assert f"Warning: {warning} For photos leave out --model" in said.err
    (one,) = json.loads(said.out)["restored"]
    assert one["found"] >= 3 and [face["person"] for face in one["faces"]] == ["anna"]


@needs_embedded
def test_together_they_are_small() -> None:
    assert sum(path.stat().st_size for path in embedded.FOLDER.iterdir() if path.suffix != ".py") < 25e6


def test_a_broken_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "FOLDER", tmp_path)
    for name in ("RESTORER", "DETECTOR", "RECOGNIZER"):
        monkeypatch.setattr(embedded, name, tmp_path / getattr(embedded, name).name)
    with pytest.raises(CheckpointError, match=r"embedded model detector\.safetensors is missing"):
        load_detector("embedded", Path())
    with pytest.raises(CheckpointError, match=r"embedded model recognizer\.onnx is missing"):
        load_recognizer(embedded.RECOGNIZER)
    commands = [
        ["demo", "--output", str(tmp_path / "demo")],
        ["inspect", "embedded"],
        ["convert", "embedded", "--output", str(tmp_path / "x.safetensors")],
    ]
    for words in commands:
        assert main(words) == 2
        assert "refldm.safetensors is missing" in capsys.readouterr().err


def test_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "--output", str(tmp_path / "file" / "demo")]) == 2
    assert "Remedy:" in capsys.readouterr().err


def test_a_seed_draws_the_same_and_the_damage_is_a_crops() -> None:
    one, again, other = draw_story(3), draw_story(3), draw_story(4)
    assert (one.lq == again.lq).all() and (one.lq != other.lq).any()
    assert list(one.albums) == list(NAMES) and len(one.albums[NAMES[0]]) == 7
    assert one.landmarks.shape == (4, 5, 2)
    eyes = np.linalg.norm(one.landmarks[:, 1] - one.landmarks[:, 0], axis=-1)
    assert (eyes > 30).all() and (eyes < 80).all()
    error = np.mean((one.lq.astype(float) - one.truth) ** 2)
    assert 15 < 10 * np.log10(255**2 / error) < 32
    damage = draw(RANGES["severe"], 3)
    same = degrade(one.truth, damage, crop=min(one.truth.shape[:2]))
    assert (same == degrade(one.truth, damage)).all() and (same != one.lq).any()


def test_the_workflows_find_their_pictures() -> None:
    wanted: set[str] = set()
    for path in (ROOT / "tests" / "workflows").glob("*.api.json"):
        nodes = json.loads(path.read_text(encoding="utf-8")).values()
        wanted |= {node["inputs"]["image"] for node in nodes if node["class_type"] == "LoadImage"}
    assert wanted <= set(workflow_inputs(draw_story(1), 1))


def test_pictures_for_people() -> None:
    story = draw_story(1)
    faces = [face_from_landmarks(Landmarks5(points)) for points in story.landmarks]
    assert marked(story.lq, faces).size == (story.lq.shape[1], story.lq.shape[0])
    tile = torch.zeros(3, 96, 96)
    rows = [Row(name, None, torch.zeros(3, 3, 512, 512), (tile,) * 5, (0.1, 0.2, 0.3, 0.4, 1.0)) for name in NAMES]
    sheet = np.array(contact_sheet(rows, 1))
    assert sheet.shape[1] > 5 * 192 and sheet.shape[0] > 4 * 192
    assert (to_picture(to_tensor(story.lq)) == story.lq).all()
