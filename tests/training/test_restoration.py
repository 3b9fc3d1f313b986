"""Tests of the parts of training the diffusion model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.checkpoints.building import inspect_file, load_model
from refldm_core.data.groups import Group
from refldm_core.model.fingerprint import fingerprint
from refldm_core.training.config_file import read_spec
from refldm_core.training.ema import MovingAverage, swapped_weights
from refldm_core.training.latents import LatentCache
from refldm_core.training.recognition import PerceptualDistance, differentiable_recognizer
from refldm_core.training.restoration import RestorationTask
from refldm_core.training.task import TrainingError

from ..face.toys import save_arcface
from .runs import SIZE, assert_same, logged, refldm_config, train, write


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recognizer") / "arcface.onnx"
    save_arcface(path)
    return path


def make(model: Path, folder: Path, *changes: str) -> RestorationTask:
    config = write(refldm_config(folder / "run", model), folder / "config.yaml")
    return RestorationTask(read_spec(config, changes))


def batch_of(task: RestorationTask, count: int) -> dict[str, object]:
    return task.examples.collate([task.examples[seed] for seed in range(count)])


def test_conditions_are_hidden_in_the_given_shares(model: Path, tmp_path: Path) -> None:
    shares = ["diffusion.drop.lq=0.3", "diffusion.drop.references=0.2", "diffusion.drop.none=0.25"]
    part = make(model, tmp_path, *shares).part
    draws = [part._draw(seed, torch.zeros(2, 4, 16, 16)) for seed in range(1500)]
    lq = torch.cat([draw.keep_lq for draw in draws]).float().mean().item()
    assert lq == pytest.approx(0.7, abs=0.03)
    for name, share in (("null", 0.2), ("none", 0.25), ("shown", 0.55)):
        assert sum(draw.references == name for draw in draws) / len(draws) == pytest.approx(share, abs=0.04)
    t = torch.cat([draw.t for draw in draws]).float()
    assert t.min() < 10 and t.max() > 989 and t.mean().item() == pytest.approx(499.5, abs=25)


def test_each_group_attends_to_its_own_references(model: Path, tmp_path: Path) -> None:
    """The loss of each group in a batch is its loss in a batch of its own, also beside groups of other sizes."""
    quiet = ["diffusion.drop.lq=0", "diffusion.drop.references=0", "diffusion.drop.none=0"]
    task = make(model, tmp_path, *quiet)
    items = [task.examples[seed] for seed in range(6)]
    assert len({len(group.references) for _, group in items}) > 1
    with torch.no_grad():
        together = task.part(task.examples.collate(items), 0)[0]
        alone = torch.stack([task.part(task.examples.collate([item]), 0)[0] for item in items])
    assert together.item() == pytest.approx(alone.mean().item(), rel=1e-4)


def test_references_matter_and_gradients_flow_through_them(model: Path, tmp_path: Path) -> None:
    # Random weights are loaded, because the branches of a new model start from zero.
    task = make(model, tmp_path, "diffusion.drop.references=0", "diffusion.drop.none=0", f"diffusion.init={model}")
    _, group = task.examples[1]
    inverted = Group(group.recipe, group.targets, group.lq, 255 - group.references)
    with torch.no_grad():
        losses = [task.part(task.examples.collate([(1, example)]), 0)[0].item() for example in (group, inverted)]
    assert losses[0] != losses[1]
    task.part(task.examples.collate([(1, group)]), 0)[0].backward()
    assert all(parameter.grad is not None for parameter in task.part.unet.parameters())
    assert all(parameter.grad is None for parameter in task.loss.first_stage.parameters())


def test_ldm_has_no_references(model: Path, tmp_path: Path) -> None:
    task = make(model, tmp_path, "task=ldm")
    assert len(task.examples[0][1].references) == 0
    loss, _ = task.part(batch_of(task, 2), 0)
    loss.backward()
    assert loss.isfinite()


def test_refldm_starts_from_an_ldm(model: Path, tmp_path: Path) -> None:
    first = refldm_config(tmp_path / "ldm", model, task="ldm", run__steps=2)
    done = train(write(first, tmp_path / "ldm.yaml"))
    assert done.returncode == 0, done.stderr
    second = refldm_config(tmp_path / "refldm", model, run__steps=2)
    second["diffusion"] |= {"init": f"{tmp_path}/ldm/refldm.ckpt", "init_config": f"{tmp_path}/ldm/refldm.yaml"}
    done = train(write(second, tmp_path / "refldm.yaml"))
    assert done.returncode == 0, done.stderr


def identity(recognizer: Path, **values: object) -> list[str]:
    settings = {"weight": 0.1, "recognizer": str(recognizer), **values}
    return [f"diffusion.loss.identity.{name}={value}" for name, value in settings.items()]


def test_the_identity_term_counts_from_its_step_on(model: Path, recognizer: Path, tmp_path: Path) -> None:
    config = write(refldm_config(tmp_path / "run", model, run__steps=3), tmp_path / "config.yaml")
    changes = [word for change in identity(recognizer, from_step=2, share=0.5) for word in ("--set", change)]
    done = train(config, *changes)
    assert done.returncode == 0, done.stderr
    log = logged(tmp_path / "run")
    assert "unet/identity" not in log[1]
    assert log[2]["unet/loss"] == pytest.approx(log[2]["unet/noise"] + 0.1 * log[2]["unet/identity"], rel=1e-4)


def test_scales_lower_the_identity_term(model: Path, recognizer: Path, tmp_path: Path) -> None:
    terms: dict[str, float] = {}
    for scale in ("none", "sqrt_alpha_bar", "t<500"):
        task = make(model, tmp_path / scale[0], *identity(recognizer, scale=scale))
        terms[scale] = task.part(batch_of(task, 3), 0)[1]["identity"].item()
    assert 0.0 < terms["sqrt_alpha_bar"] < terms["none"]
    assert terms["t<500"] < terms["none"]


def test_the_identity_term_teaches_the_unet_and_leaves_the_recognizer(
    model: Path, recognizer: Path, tmp_path: Path
) -> None:
    task = make(model, tmp_path, *identity(recognizer, scale="none"))
    task.part(batch_of(task, 2), 0)[1]["identity"].backward()
    grads = [parameter.grad for parameter in task.part.unet.parameters()]
    assert all(isinstance(grad, Tensor) and grad.isfinite().all() for grad in grads)
    assert any(grad is not None and grad.abs().max() > 0 for grad in grads)
    assert all(parameter.grad is None for parameter in task.loss.parameters())


def test_mixed_precision_encodes_in_float32(model: Path, recognizer: Path, tmp_path: Path) -> None:
    """This holds for targets, LQ pictures and references, and for the target of the identity term."""
    task = make(model, tmp_path, *identity(recognizer))
    groups = [task.examples[seed][1] for seed in range(2)]
    assert all(len(group.references) for group in groups)
    exact = task.part.encoder.encode(groups), task.part._identity_target(groups, 0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = task.part.encoder.encode(groups), task.part._identity_target(groups, 0)
    assert_same(mixed, exact)
    assert exact[1] is not None
    assert {tensor.dtype for tensor in (*exact[0].targets, *exact[0].lq, *exact[0].references, exact[1])} == {
        torch.float32
    }


def test_latents_cached_in_mixed_precision_are_not_used_again(model: Path, tmp_path: Path) -> None:
    """The key of earlier versions was the same for both precisions."""
    changes = ["groups.variants=1", f"diffusion.cache={tmp_path / 'cache'}"]
    task = make(model, tmp_path, *changes)
    groups = [task.groups.draw(recipe) for recipe in (0, 1)]
    corpus = read_spec(tmp_path / "config.yaml", changes).corpus
    weights = fingerprint(task.loss.first_stage.state_dict())
    old = LatentCache(tmp_path / "cache", f"{corpus} {task.groups.spec} {weights}")
    for group in groups:
        old.put(group.recipe, {name: torch.zeros(2, 4, 16, 16) for name in ("targets", "lq", "references")})
    exact = make(model, tmp_path).part.encoder.encode(groups)
    assert_same(task.part.encoder.encode(groups), exact)


def cache_folder(model: Path, folder: Path, *changes: str) -> Path:
    task = make(model, folder, "groups.variants=1", f"diffusion.cache={folder / 'cache'}", *changes)
    assert task.examples.cache is not None
    return task.examples.cache.folder


def test_a_cache_belongs_to_its_pictures(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another first stage, other settings, or other code that makes the examples need another cache."""
    before = cache_folder(model, tmp_path)
    assert cache_folder(model, tmp_path) == before
    with torch.no_grad():
        tensors = load_file(model)
        tensors["first_stage_model.encoder.conv_in.weight"] += 0.01
    save_file(tensors, tmp_path / "model.safetensors", inspect_file(model).file.metadata)
    folders = [before, cache_folder(tmp_path / "model.safetensors", tmp_path)]
    folders.append(cache_folder(model, tmp_path, "groups.degradation=severe"))
    with monkeypatch.context() as patched:
        patched.setattr("refldm_core.data.groups.degrade", lambda picture, _: 255 - picture)
        folders.append(cache_folder(model, tmp_path))
    assert len(set(folders)) == 4


def test_a_cache_belongs_to_the_files_of_a_folder(model: Path, tmp_path: Path) -> None:
    for i in range(4):
        Image.new("RGB", (SIZE, SIZE), (60 * i, 0, 0)).save(tmp_path / f"{i}.png")
    table = tmp_path / "references.csv"
    table.write_text("gt_image,ref_image\n0.png,['1.png']\n2.png,['3.png']\n", encoding="utf-8")
    changes = ["corpus.kind=folder", f"corpus.folder={tmp_path}", f"corpus.references={table}", "groups.targets=1"]
    folders = [cache_folder(model, tmp_path / "run", *changes) for _ in range(2)]
    assert folders[0] == folders[1]
    Image.new("RGB", (SIZE, SIZE), "white").save(tmp_path / "2.png")
    folders.append(cache_folder(model, tmp_path / "run", *changes))
    table.write_text(table.read_text(encoding="utf-8").replace("3.png", "1.png"), encoding="utf-8")
    folders.append(cache_folder(model, tmp_path / "run", *changes))
    assert len(set(folders[1:])) == 3


def test_contradictory_configs_are_refused(model: Path, tmp_path: Path) -> None:
    cases = {
        ('diffusion.first_stage=""',): "names no first stage",
        ("corpus.size=64", "corpus.people=1", f"diffusion.init={model}"): "corpus.size is 64",
        (f"diffusion.cache={tmp_path}/cache",): "every example is a new one",
        ("diffusion.loss.identity.weight=0.1", "diffusion.loss.identity.recognizer=nothere.onnx"): "no recognizer",
    }
    for changes, words in cases.items():
        with pytest.raises(TrainingError, match=words):
            make(model, tmp_path, *changes)


def test_a_model_can_be_trained_for_another_size(model: Path, tmp_path: Path) -> None:
    """The exported spec has the new size and the new scale of the latents."""
    task = make(
        model, tmp_path, "corpus.size=64", "corpus.people=1", f"diffusion.init={model}", "diffusion.resize=true"
    )
    assert task.model.crop_size == 64
    _, group = task.examples[0]
    latents = task.part.encoder.encode([group]).targets[0]
    assert latents.shape[-2:] == (32, 32)
    assert task.model.scale_factor != 1.0
    task.export(tmp_path, 1, {"unet": {f"unet.{n}": t for n, t in task.part.unet.state_dict().items()}})
    exported = load_model(tmp_path / "refldm.ckpt", config=tmp_path / "refldm.yaml")
    assert exported.spec == task.model


def test_a_recognizer_that_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no ONNX")
    with pytest.raises(TrainingError, match="cannot be converted"):
        differentiable_recognizer(path)


def test_perceptual_distance_grows_with_the_change() -> None:
    """It is zero for the same picture, grows with the change, and has a gradient."""
    distance = _perceptual()
    torch.manual_seed(0)
    truth = torch.rand(2, 3, 48, 48) * 2 - 1
    change = torch.randn_like(truth)
    near = (truth + 0.05 * change).requires_grad_()
    assert distance(truth, truth).item() == pytest.approx(0.0, abs=1e-6)
    assert 0 < distance(near, truth).item() < distance(truth + 0.4 * change, truth).item()
    distance(near, truth).backward()
    assert near.grad is not None and near.grad.abs().max() > 0


def _perceptual() -> PerceptualDistance:
    from refldm_core import embedded

    if not embedded.RECOGNIZER.is_file():
        pytest.skip(f"{embedded.RECOGNIZER.name} is not in the repository")
    return PerceptualDistance(str(embedded.RECOGNIZER))


def test_the_moving_average_follows_its_decay() -> None:
    module = torch.nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(0.0)
    average = MovingAverage(module, 0.9, warmup=False)
    with torch.no_grad():
        module.weight.fill_(1.0)
    average.update(module)
    assert average.weights["weight"].item() == pytest.approx(0.1)
    average.update(module)
    assert average.weights["weight"].item() == pytest.approx(0.19)
    with swapped_weights(module, average.weights):
        assert module.weight.item() == pytest.approx(0.19) and not module.training
    assert module.weight.item() == 1.0 and module.training


def test_a_young_average_is_close_to_the_weights() -> None:
    module = torch.nn.Linear(1, 1)
    average = MovingAverage(module, 0.9999)
    with torch.no_grad():
        module.weight.fill_(5.0)
    for _ in range(50):
        average.update(module)
    assert average.weights["weight"].item() == pytest.approx(5.0, abs=0.05)
