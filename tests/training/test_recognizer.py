"""Tests of training the recognizer: its loss, its learning, and its file in insightface's layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from refldm_core.checkpoints.faces import load_recognizer
from refldm_core.checkpoints.training_data import TRAINED_ON_KEY
from refldm_core.data.corpus import CorpusSpec
from refldm_core.face.alignment import FFHQ_TEMPLATE
from refldm_core.face.identity import ARCFACE_TEMPLATE
from refldm_core.training.recognizer import FILE, RecognizerTask, contrastive_loss
from refldm_core.training.recognizer_examples import CENTER_TEMPLATE, training_crop
from refldm_core.training.spec import RecognizerSpec, RunSpec, TrainSpec
from refldm_core.training.task import TrainingError

from .runs import PEOPLE, SIZE

SPEC = TrainSpec(
    task="recognizer",
    output="",
    corpus=CorpusSpec(people=4, pictures=3, size=SIZE, cache=PEOPLE.name),
    recognizer=RecognizerSpec(width=6, embedding=16, pictures=2),
    run=RunSpec(batch=3),
)


@pytest.fixture(scope="module")
def batch():
    task = RecognizerTask(SPEC)
    return task.examples.collate([task.examples[seed] for seed in range(3)])


def task_of(spec=SPEC) -> RecognizerTask:
    torch.manual_seed(0)
    return RecognizerTask(spec)


def test_a_batch_has_pictures_and_people(batch):
    assert batch["pictures"].shape == (6, 3, 112, 112)
    assert batch["pictures"].abs().max() <= 1 and batch["pictures"].std() > 0.1
    people = batch["person"].view(3, 2)
    assert (people[:, 0] == people[:, 1]).all() and ((people >= -4) & (people < 4)).all()


def test_an_item_is_a_function_of_its_seed():
    first, repeated, different = (task_of().examples[seed] for seed in (7, 7, 8))
    assert torch.equal(first.pictures, repeated.pictures) and torch.equal(first.numbers, repeated.numbers)
    assert not torch.equal(first.pictures, different.pictures)


def test_mirrored_people_are_other_people():
    """Each person has one number, and another one when mirrored. The crop is then mirrored as well."""
    examples = task_of().examples
    assert {int(examples[seed].numbers[0]) for seed in range(60)} == {*range(4), *range(-4, 0)}
    plain, mirrored = (
        training_crop(examples.corpus, 0, np.random.default_rng(5), mirrored=mirrored) for mirrored in (False, True)
    )
    assert torch.equal(plain.flip(-1), mirrored)


def test_the_center_template_is_the_crop_of_the_published_identity_loss():
    """That loss cuts rows and columns 32 to 480 of 512, and takes the mean of 4 x 4 pixels."""
    place = torch.arange(512.0)[32:480].view(112, 4).mean(dim=1).numpy()
    for axis in (0, 1):
        expected = np.interp(FFHQ_TEMPLATE[:, axis], place, np.arange(112.0))
        np.testing.assert_allclose(CENTER_TEMPLATE[:, axis], expected, atol=1e-9)
    assert np.abs(CENTER_TEMPLATE - ARCFACE_TEMPLATE).max() > 1


def test_the_loss_is_the_papers_formula():
    embeddings, people = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 1, 1, 1, 2])
    embeddings, people = torch.cat([embeddings, embeddings[-1:] + 0.5]), torch.cat([people, people[-1:]])
    z = F.normalize(embeddings, dim=1).double()
    terms = []
    for i in range(7):
        others = [a for a in range(7) if a != i]
        total = sum(torch.exp(z[i] @ z[a] / 0.2) for a in others)
        same = [p for p in others if people[p] == people[i]]
        terms.append(-sum(torch.log(torch.exp(z[i] @ z[p] / 0.2) / total) for p in same) / len(same))
    torch.testing.assert_close(
        contrastive_loss(embeddings, people, 0.2)[0].double(), sum(terms) / 7, rtol=1e-5, atol=1e-6
    )


def test_the_loss_falls_in_training(batch):
    part = task_of().parts[0]
    optimizer = torch.optim.AdamW(part.parameters(), lr=3e-3)
    losses = []
    for step in range(25):
        loss, logs = part(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert logs["same"] > logs["different"] + 0.3


@pytest.fixture(scope="module")
def exported(tmp_path_factory, batch):
    """An exported file, and the network that it must contain: with the averaged weights, not the trained ones."""
    folder = tmp_path_factory.mktemp("run")
    task = task_of()
    weights = task.parts[0].state_dict()
    # Different norms: the exporter would write their equal initial biases only once.
    ema = {"recognizer": {n: t + 0.1 * torch.rand_like(t) if t.ndim == 1 else t for n, t in weights.items()}}
    task.parts[0](batch, 0)  # changes the statistics of the norms
    assert task.export(folder, 1, ema) == [folder / FILE]
    assert [path.name for path in folder.iterdir()] == [FILE]
    task.parts[0].load_state_dict(ema["recognizer"])
    return folder / FILE, task.parts[0].network.eval()


def test_onnxruntime_and_torch_give_the_same_embeddings(exported, batch):
    path, network = exported
    with torch.no_grad():
        expected = F.normalize(network(batch["pictures"]), dim=1).numpy()
    np.testing.assert_allclose(load_recognizer(path).embed(batch["pictures"]), expected, atol=1e-4)


def test_insightface_reads_it(exported):
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    model = ArcFaceONNX(model_file=str(exported[0]))
    assert (model.input_mean, model.input_std, model.input_size) == (127.5, 127.5, (112, 112))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    from_insightface = model.get_feat([np.ascontiguousarray(picture[..., ::-1]) for picture in pictures])
    assert load_recognizer(exported[0]).metadata == {TRAINED_ON_KEY: "rendered people"}
    embeddings = load_recognizer(exported[0]).embed(torch.as_tensor(pictures).movedim(-1, 1).float() / 127.5 - 1)
    np.testing.assert_allclose(
        from_insightface / np.linalg.norm(from_insightface, axis=1, keepdims=True), embeddings, atol=1e-5
    )


def test_onnx2torch_makes_it_differentiable(exported, batch):
    onnx2torch = pytest.importorskip("onnx2torch")
    path, network = exported
    pictures = batch["pictures"][:2].clone().requires_grad_()
    converted = onnx2torch.convert(str(path))
    torch.testing.assert_close(converted(pictures), network(pictures), atol=1e-4, rtol=0)
    converted(pictures).square().sum().backward()
    assert pictures.grad is not None and pictures.grad.abs().max() > 0


def test_a_file_of_the_default_size_is_small(tmp_path):
    task = task_of(replace(SPEC, recognizer=RecognizerSpec()))
    assert task.export(tmp_path, 0, {})[0].stat().st_size < 2e6


def test_the_sample_is_a_grid_of_people():
    picture = task_of().sample({})
    assert picture is not None and picture.size == (6 * 112, 4 * 112)


@pytest.mark.parametrize(
    "wrong",
    [
        {"recognizer": RecognizerSpec(pictures=1)},
        {"corpus": replace(SPEC.corpus, people=1)},
        {"run": RunSpec(batch=1)},
    ],
)
def test_too_few_people_or_pictures_are_refused(wrong):
    with pytest.raises(TrainingError):
        RecognizerTask(replace(SPEC, **wrong))


def test_a_folder_without_a_csv_is_refused():
    """Without a CSV, every picture of a folder counts as another person."""
    folder = Path(PEOPLE.name) / f"portraits-{SIZE}px"
    with pytest.raises(TrainingError, match="0 people of the corpus have two pictures"):
        RecognizerTask(replace(SPEC, corpus=CorpusSpec("folder", folder=str(folder), size=SIZE)))
