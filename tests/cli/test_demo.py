"""`refldm demo`: its pictures, its video, the files for the workflows, and the embedded models by name."""

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
from refldm_core.demo import showing, video
from refldm_core.demo.inputs import workflow_pictures, write_workflow_inputs
from refldm_core.demo.sheet import contact_sheet, mark_faces, video_sheet
from refldm_core.demo.showing import COLUMNS, Row, to_picture, to_tensor
from refldm_core.demo.story import make_story
from refldm_core.demo.video_file import write_video
from refldm_core.errors import CheckpointError, SettingsError
from refldm_core.face.alignment import face_from_landmarks
from refldm_core.face.types import Landmarks5
from refldm_core.pipeline import SamplingSettings
from refldm_core.temporal import STEADY, TemporalSettings

from ..embedded import needs_embedded, trained_on
from ..offline import forbid_connections

ROOT = Path(__file__).parents[2]

FIRST_GROUP = ("Anna", "Ben", "Cem", "Dora", "Emil", "Fay")
TWO_STEPS = SamplingSettings(steps=2, sampler="dpmpp_2m")


@needs_embedded
def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "SAMPLING", TWO_STEPS)
    forbid_connections(monkeypatch)
    assert main(["demo", "--output", str(tmp_path / "demo"), "--json"]) == 0
    printed = capsys.readouterr()
    assert "trained on" not in printed.err, "the models were trained on people of the demo's kind"
    result = json.loads(printed.out)
    assert all(Path(path).is_file() for path in result["pictures"])
    assert {row["name"] for row in result["faces"]} <= set(FIRST_GROUP) and len(result["faces"]) >= 5
    assert sum(row["recognized as"] == row["name"] for row in result["faces"]) >= 4
    assert all(row["similarity"]["truth"] == pytest.approx(1.0) for row in result["faces"])
    assert list(result["mean"]) == list(COLUMNS)
    assert list(result["references"]) == list(FIRST_GROUP)
    assert all(1 <= len(names) <= showing.REFERENCES for names in result["references"].values())
    assert not set(result["references"]["Anna"]) & {"blurred.png", "somebody.png"}
    assert not {"anna_1.webp", "copy.png"} <= set(result["references"]["Anna"])
    lq, restored = (np.array(Image.open(tmp_path / "demo" / name)) for name in ("03_group_lq.png", "05_restored.png"))
    assert (lq != restored).any() and (lq == restored).all(axis=-1).mean() > 0.1, "only the faces change"


@needs_embedded
@pytest.mark.parametrize("temporal", [None, STEADY], ids=["frame by frame", "temporal"])
def test_video_changes_only_the_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporal: TemporalSettings | None
) -> None:
    """The face of a short video changes in every frame in which it was found. Everything else stays."""
    monkeypatch.setattr(video, "SAMPLING", TWO_STEPS)
    monkeypatch.setattr(video, "FRAMES", 3)
    networks = showing.load_networks()
    footage = video.film("Anna", 0)
    assert footage.truth.shape == footage.lq.shape == (3, video.SIDE, video.SIDE, 3)
    assert (footage.lq[0] != footage.truth[0]).any()
    chosen = showing.choose_album_references(make_story(0), networks)["Anna"]
    restored = video.restore_video(footage, networks, chosen, 0, temporal=temporal)
    assert restored.detected == 3 and restored.similarities[-1] == pytest.approx(1.0)
    for frame in restored.frames:
        lq, none, own, _ = frame
        assert (none != lq).any() and (own != none).any()
        assert (own[0] == lq[0]).all(), "the border does not show the face"
    written = write_video(video_sheet(restored), tmp_path / "video", video.RATE)
    if written.suffix == ".webp":
        with Image.open(written) as animation:
            assert animation.n_frames == 3  # type: ignore[attr-defined]
            animation.load()
            assert animation.info["duration"] == round(1000 / video.RATE)
    else:
        assert written.stat().st_size > 1000


@needs_embedded
def test_commands_accept_embedded_as_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "embedded", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["missing"] == []
    latent_size = described["parts"]["diffusion"]["spec"]["latent_size"]["value"]
    out = tmp_path / "copy.safetensors"
    assert main(["convert", "embedded", "--output", str(out), "--dtype", "float16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["latent_size"] == latent_size
    story = make_story(0)
    pictures = {"group": story.lq, "anna": story.albums["Anna"]["anna_1.webp"]}
    for name, picture in pictures.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    words = ["restore", str(tmp_path / "group.png"), "--person", f"anna={tmp_path / 'anna.png'}", "--match", "-1"]
    words += ["--output", str(tmp_path / "out.png"), "--steps", "1"]
    for part in ("model", "detector", "recognizer"):
        words += [f"--{part}", "embedded"]
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    warning = json.loads(printed.out)["warning"]
    assert warning.startswith(f"The model, the detector and the recognizer were trained on {trained_on()} only: ")
    assert f"Warning: {warning} For photos leave out --model" in printed.err
    (photo,) = json.loads(printed.out)["restored"]
    assert photo["found"] >= 3 and [face["person"] for face in photo["faces"]] == ["anna"]


@needs_embedded
def test_embedded_models_are_smaller_than_26_megabytes() -> None:
    assert sum(path.stat().st_size for path in embedded.FOLDER.iterdir() if path.suffix != ".py") < 26e6


def test_a_missing_embedded_model_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_output_below_a_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["demo", "--output", str(tmp_path / "file" / "demo")]) == 2
    assert "Remedy:" in capsys.readouterr().err


def test_the_seed_chooses_group_and_degradation() -> None:
    first, again, second, third = (make_story(seed) for seed in (0, 0, 1, 2))
    assert (first.lq == again.lq).all()
    assert (first.truth == third.truth).all() and (first.lq != third.lq).any()
    assert list(first.albums) == list(FIRST_GROUP) and not set(second.albums) & set(first.albums)
    assert {name: len(album) for name, album in first.albums.items()} == dict.fromkeys(FIRST_GROUP, 4) | {"Anna": 7}
    with pytest.raises(SettingsError, match="is negative"):
        make_story(-1)


@pytest.mark.parametrize("seed", [0, 1])
def test_faces_of_a_group_are_degraded_like_aligned_crops(seed: int) -> None:
    story = make_story(seed)
    assert story.landmarks.shape == (6, 5, 2)
    error = np.mean((story.lq.astype(float) - story.truth) ** 2)
    assert 15 < 10 * np.log10(255**2 / error) < 35
    degradation = draw(RANGES["severe"], seed)
    as_one_face = degrade(story.truth, degradation, crop=min(story.truth.shape[:2]))
    assert (as_one_face == degrade(story.truth, degradation)).all() and (as_one_face != story.lq).any()


def test_landmarks_belong_to_the_named_people() -> None:
    """Dora and Emil stand in the front row, at the left and in the middle."""
    x = dict(zip(FIRST_GROUP, make_story(0).landmarks[:, 2, 0], strict=True))
    y = dict(zip(FIRST_GROUP, make_story(0).landmarks[:, 2, 1], strict=True))
    assert x["Anna"] < x["Dora"] < x["Ben"] < x["Emil"] < x["Cem"] < x["Fay"]
    assert max(y[name] for name in ("Anna", "Ben", "Cem")) < min(y[name] for name in ("Dora", "Emil", "Fay"))


def test_every_input_of_the_workflows_is_written(tmp_path: Path) -> None:
    inputs: set[str] = set()
    for path in (ROOT / "tests" / "workflows").glob("*.api.json"):
        nodes = json.loads(path.read_text(encoding="utf-8")).values()
        inputs |= {node["inputs"]["image"] for node in nodes if node["class_type"] == "LoadImage"}
        inputs |= {node["inputs"]["file"] for node in nodes if node["class_type"] == "LoadVideo"}
    (tmp_path / "group.png").write_bytes(b"mine")
    written, existing = write_workflow_inputs(tmp_path, replace=False)
    assert existing == [tmp_path / "group.png"] and existing[0].read_bytes() == b"mine"
    assert inputs <= {path.name for path in tmp_path.iterdir()}
    assert len(written) + 1 == len(list(tmp_path.iterdir()))
    assert write_workflow_inputs(tmp_path)[1] == [] and existing[0].read_bytes() != b"mine"


def test_portraits_of_the_workflows_are_aligned_crops() -> None:
    pictures = workflow_pictures()
    assert all(pictures[name].shape == (512, 512, 3) for name in ("face.png", "reference_1.png", "reference_3.png"))
    assert pictures["photo.png"].shape != (512, 512, 3)


def test_sheets_have_room_for_every_person() -> None:
    story = make_story(0)
    faces = [face_from_landmarks(Landmarks5(points)) for points in story.landmarks]
    assert mark_faces(story.lq, faces).size == (story.lq.shape[1], story.lq.shape[0])
    tile = torch.zeros(3, 96, 96)
    rows = [
        Row(name, None, torch.zeros(3, 3, 512, 512), (tile,) * 5, (0.1, 0.2, 0.3, 0.4, 1.0)) for name in FIRST_GROUP
    ]
    sheet = np.array(contact_sheet(rows, 1))
    assert sheet.shape[1] > 5 * 240 and sheet.shape[0] > 6 * 240
    assert (to_picture(to_tensor(story.lq)) == story.lq).all()
