"""Tests of training the detector: its scenes, its loss, its learning, and its file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from refldm_core.data.corpus import CorpusSpec, DataError
from refldm_core.data.rendered import RenderedDataset
from refldm_core.errors import UnsafePathError
from refldm_core.training.spec import DetectorSpec, RunSpec, TrainSpec

pytest.importorskip("facexlib")

from refldm_core.checkpoints.faces import DETECTOR_FILES, load_detector
from refldm_core.checkpoints.reading import read_tensors
from refldm_core.checkpoints.training_data import TRAINED_ON_KEY
from refldm_core.face.backends import RetinaFaceNetwork
from refldm_core.training.detector import Answers, DetectorTask, anchors, detection_loss, encode
from refldm_core.training.scenes import SceneSet, TrainingScene, open_scenes

from .runs import PEOPLE

SPEC = TrainSpec(
    task="detector",
    output="",
    corpus=CorpusSpec(people=4, cache=PEOPLE.name),
    detector=DetectorSpec(size=96, most_faces=3, scenes=6),
    run=RunSpec(batch=2),
)


def task_of(spec=SPEC) -> DetectorTask:
    torch.manual_seed(0)
    return DetectorTask(spec)


def batch_of(task, seeds=range(4)):
    return task.examples.collate([task.examples[seed] for seed in seeds])


def test_a_batch_has_pictures_and_answers():
    batch = batch_of(task_of())
    count = 2 * (12**2 + 6**2 + 3**2)
    assert batch["pictures"].shape == (4, 3, 96, 96) and batch["pictures"].dtype == torch.uint8
    assert batch["offsets"].shape == (4, count, 4) and batch["points"].shape == (4, count, 10)
    assert batch["face"].shape == (4, count) and 0 < batch["face"].sum() < 0.2 * 4 * count


def test_an_item_is_a_function_of_its_seed():
    first, repeated, different = (task_of().examples[seed] for seed in (3, 3, 4))
    assert torch.equal(first.picture, repeated.picture)
    assert all(torch.equal(a, b) for a, b in zip(first.answers, repeated.answers, strict=True))
    assert not torch.equal(first.picture, different.picture)


@pytest.fixture(scope="module")
def scenes() -> SceneSet:
    return open_scenes(SPEC.corpus, 96, 3, 6)


@pytest.fixture(scope="module")
def many(scenes) -> list[TrainingScene]:
    return [scenes.example(160, seed) for seed in range(60)]


def test_examples_have_none_one_and_several_faces_of_all_sizes(many):
    counts = [len(example.boxes) for example in many]
    assert counts.count(0) >= 6 and counts.count(1) >= 6 and max(counts) > 1
    heights = [float(box[3] - box[1]) / 160 for example in many for box in example.boxes]
    assert min(heights) < 0.25 and max(heights) > 0.6


def test_landmarks_lie_within_or_near_their_boxes(many):
    """The box of a slightly turned face stays upright, so that a corner of the mouth may lie just outside it."""
    for example in many:
        assert example.picture.shape == (160, 160, 3)
        for box, points in zip(example.boxes, example.landmarks, strict=True):
            inside = (box > 0).all() and (box < 159).all()
            reach = 0.15 * (box[2:] - box[:2])
            assert not inside or ((points >= box[:2] - reach).all() and (points <= box[2:] + reach).all())
            assert points[:2, 1].mean() < points[3:, 1].mean()


def test_a_mirrored_face_has_its_left_eye_on_the_left(many):
    frontal = [points for example in many for points in example.landmarks if np.ptp(points[:, 0]) > 8]
    assert frontal and all(points[0, 0] < points[1, 0] and points[3, 0] < points[4, 0] for points in frontal)


def test_landmarks_follow_the_picture(scenes, monkeypatch):
    """A scene that is white only at its landmarks is white at the landmarks of every window."""
    original = next(scene for scene in map(scenes.scene, range(len(scenes))) if len(scene.boxes))
    size = len(original.picture)
    points = np.array([[[0.3, 0.3], [0.5, 0.3], [0.4, 0.4], [0.32, 0.5], [0.48, 0.5]]]) * size
    marked = np.zeros_like(original.picture)
    for x, y in points[0].round().astype(int):
        marked[y - 2 : y + 3, x - 2 : x + 3] = 255
    box = np.array([[0.2, 0.15, 0.6, 0.6]]) * size
    monkeypatch.setattr(scenes, "scene", lambda _: TrainingScene(marked, points, box))
    monkeypatch.setattr("refldm_core.training.scenes._change_appearance", lambda example, _: example.picture)
    examples = [example for example in (scenes.example(160, seed) for seed in range(30)) if len(example.boxes)]
    assert len(examples) > 10
    for example in examples:
        inside = ((example.landmarks[0] > 3) & (example.landmarks[0] < 156)).all(axis=1)
        places = example.landmarks[0][inside].round().astype(int)
        assert (example.picture[places[:, 1], places[:, 0]] > 120).all()


def test_hidden_faces_are_left_out_of_scenes(tmp_path):
    dataset = RenderedDataset(tmp_path)
    dataset.images.mkdir()
    Image.new("RGB", (64, 64)).save(dataset.images / "a.png")
    face = [[10, 10], [20, 10], [15, 15], [11, 20], [19, 20]]
    record = {"image": "a.png", "landmarks": [face, face], "boxes": [[5, 5, 25, 25]] * 2, "visible": [0.7, 0.05]}
    dataset.attributes.write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert len(SceneSet(tmp_path).scene(0).boxes) == 1


def test_a_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(DataError, match="refldm synthesize --scenes"):
        SceneSet(tmp_path)


def test_right_answers_are_found_by_the_projects_decoder(many, monkeypatch):
    """A network that outputs the answers of `encode` finds the faces at their places."""
    scene = next(s for s in many if len(s.boxes) > 1)
    task = task_of()
    answers = encode(scene, anchors(160, task.parts[0].network))
    network = RetinaFaceNetwork("mobile0.25", task.parts[0].network.state_dict())
    outputs = answers.offsets[None], torch.stack([1 - answers.face, answers.face], dim=-1)[None], answers.points[None]
    monkeypatch.setattr(network.module, "forward", lambda _: outputs)
    boxes, _, landmarks = network.find(scene.picture, 0.5)
    assert len(boxes) == len(scene.boxes)
    order, expected = np.argsort(boxes[:, 0]), np.argsort(scene.boxes[:, 0])
    np.testing.assert_allclose(boxes[order], scene.boxes[expected], atol=0.01)
    np.testing.assert_allclose(landmarks[order], scene.landmarks[expected], atol=0.01)


def test_scenes_without_faces_contribute_to_the_loss():
    logits = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    none = Answers(torch.zeros(2, 50, 4), torch.zeros(2, 50), torch.zeros(2, 50, 10))
    loss, logs = detection_loss(torch.zeros(2, 50, 4), logits, torch.zeros(2, 50, 10), none)
    loss.backward()
    assert loss > 0 and logs["box"] == logs["landmarks"] == 0
    assert int((logits.grad.abs().sum(dim=-1) > 0).sum()) == 7


def test_the_hardest_anchors_without_a_face_count():
    """One anchor has a face, so that 7 others count: those most like a face, anywhere in the batch."""
    face = torch.zeros(2, 50)
    face[0, 0] = 1
    logits = torch.stack([torch.zeros(2, 50), torch.arange(100.0).view(2, 50) / 50], dim=-1)
    truth = Answers(torch.zeros(2, 50, 4), face, torch.zeros(2, 50, 10))
    loss, _ = detection_loss(torch.zeros(2, 50, 4), logits, torch.zeros(2, 50, 10), truth)
    hardest = torch.nn.functional.softplus(torch.arange(93.0, 100.0) / 50).sum()
    torch.testing.assert_close(loss, hardest + np.log(2))


def test_the_loss_falls_in_training():
    task = task_of()
    part = task.parts[0]
    batch = batch_of(task)
    optimizer = torch.optim.AdamW(part.parameters(), lr=2e-3)
    losses = []
    for step in range(20):
        loss, _ = part(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_projects_loader_reads_the_file(tmp_path):
    task = task_of()
    ema = {name: tensor.clone() for name, tensor in task.parts[0].state_dict().items()}
    ema["network.ClassHead.0.conv1x1.bias"] += 1
    path = tmp_path / DETECTOR_FILES["retinaface_mobile0.25"]
    assert task.export(tmp_path, 1, {"detector": ema}) == [path]
    assert read_tensors(path).metadata[TRAINED_ON_KEY] == "rendered people"
    assert path.stat().st_size < 1.2e6
    assert read_tensors(path).format == "safetensors"
    detector = load_detector("retinaface_mobile0.25", tmp_path)
    for name, tensor in detector.network.module.state_dict().items():
        torch.testing.assert_close(tensor, ema[f"network.{name}"], rtol=1e-3, atol=1e-6)
    picture = task.examples.scene(0).picture
    assert all(np.isfinite(face.landmarks.points).all() for face in detector.detect(picture))


def test_the_sample_is_a_grid_of_scenes():
    picture = task_of().sample({})
    assert picture is not None and picture.size == (4 * 96, 3 * 96)


GOOD = {"image": "a.png", "visible": [1.0], "landmarks": [[[1.0, 2.0]] * 5], "boxes": [[1.0, 2.0, 3.0, 4.0]]}


@pytest.mark.parametrize(
    "records",
    [
        *([], [5], [{}], [GOOD | {"visible": {"a": 1}}], [GOOD | {"visible": ["x"]}], [GOOD | {"visible": [1.0, 1.0]}]),
        *([GOOD | {"boxes": {}}], [GOOD | {"boxes": [[1.0, 2.0]]}], [GOOD | {"boxes": [[1, 2, 3, float("nan")]]}]),
        *([GOOD | {"landmarks": []}], [GOOD | {"landmarks": [[[float("inf"), 0.0]] * 5]}], [GOOD | {"image": 1}]),
    ],
)
def test_a_damaged_list_of_scenes_is_refused(records, tmp_path):
    text = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "attributes.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises((DataError, UnsafePathError)) as caught:
        SceneSet(tmp_path)
    assert caught.value.remedy


def test_scenes_outside_the_folder_are_refused(tmp_path):
    (tmp_path / "attributes.jsonl").write_text(json.dumps(GOOD | {"image": "../a.png"}) + "\n", encoding="utf-8")
    with pytest.raises(UnsafePathError, match="cannot be used"):
        SceneSet(tmp_path)
