"""Tests of the loader's workers: the data that they get, how they start, and the batches that they prepare."""

from __future__ import annotations

import io
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from refldm_core.cli.train import make_task
from refldm_core.training.config_file import read_spec
from refldm_core.training.latents import LatentCache
from refldm_core.training.loader import Share, steps_of_batches
from refldm_core.training.spec import TrainSpec
from refldm_core.training.task import Examples, TrainingError

from .runs import PEOPLE, SIZE, assert_same, first_stage_config, refldm_config, write


def spec_of(task: str, folder: Path, model: Path, *changes: str) -> TrainSpec:
    configs: dict[str, Callable[[], dict[str, Any]]] = {
        "first_stage": lambda: first_stage_config(folder / "run"),
        "refldm": lambda: refldm_config(folder / "run", model),
    }
    small_network = {
        "task": task,
        "output": "",
        "corpus": {"people": 4, "pictures": 2, "size": SIZE, "cache": PEOPLE.name},
        "detector": {"size": 96, "most_faces": 2, "scenes": 4},
        "run": {"steps": 3, "batch": 2},
    }
    config = configs[task]() if task in configs else small_network
    return read_spec(write(config, folder / "config.yaml"), changes)


class Contents(pickle.Pickler):
    """Pickles like the start of a worker, and records every object that it pickles."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.objects: list[object] = []

    def reducer_override(self, obj: object) -> object:
        self.objects.append(obj)
        return NotImplemented


@pytest.mark.parametrize("task", ["first_stage", "refldm", "recognizer", "detector"])
def test_workers_get_only_data(task: str, model: Path, tmp_path: Path) -> None:
    """They get no network, no parameter, no open file and nothing on a GPU, and their copy gives the same items."""
    if task == "detector":
        pytest.importorskip("facexlib")
    examples = make_task(spec_of(task, tmp_path, model)).examples
    file = io.BytesIO()
    pickler = Contents(file)
    pickler.dump(examples)
    assert len(file.getvalue()) < 50_000  # the parameters of these networks would take more
    assert not [obj for obj in pickler.objects if isinstance(obj, (nn.Parameter, io.IOBase))]
    networks = [obj for obj in pickler.objects if isinstance(obj, nn.Module) and [*obj.parameters(), *obj.buffers()]]
    assert not networks  # torchvision's augmentations are modules too, without weights
    assert all(obj.device.type == "cpu" for obj in pickler.objects if isinstance(obj, Tensor))
    copy: Examples = pickle.loads(file.getvalue())
    original, copied = (source.collate([source[seed] for seed in (3, 8)]) for source in (examples, copy))
    assert_same(copied, original)


def test_latents_in_memory_stay_in_the_training_process(model: Path, tmp_path: Path) -> None:
    changes = ["groups.variants=1", f"diffusion.cache={tmp_path / 'cache'}"]
    examples = make_task(spec_of("refldm", tmp_path, model, *changes)).examples
    cache = vars(examples)["cache"]
    assert isinstance(cache, LatentCache)
    size = len(pickle.dumps(examples))
    cache.put(5, {"targets": torch.zeros(2, 4, 100, 100)})
    assert len(pickle.dumps(examples)) == size
    copy = pickle.loads(pickle.dumps(examples))
    assert copy.cache.contains(5) and not copy.cache.contains(6)
    assert copy.cache.get(5)["targets"].shape == (2, 4, 100, 100)


@pytest.mark.parametrize("task", ["first_stage", "refldm"])
def test_spawned_workers_give_the_same_batches_as_no_workers(task: str, model: Path, tmp_path: Path) -> None:
    """Each step has two micro-batches. The run begins with the second step."""
    batches: dict[int, list[Any]] = {}
    for workers in (0, 2):
        spec = spec_of(task, tmp_path, model, f"run.workers={workers}", "run.steps=3", "run.accumulate=2")
        steps = steps_of_batches(spec, make_task(spec).examples, Share(spec.run.batch, accumulate=2), 1)
        batches[workers] = [next(steps)]
        kinds = [type(process).__name__ for process in multiprocessing.active_children()]
        assert kinds == ["SpawnProcess"] * workers
        batches[workers] += steps
    assert len(batches[0]) == 2 and all(len(step) == 2 for step in batches[0])
    assert_same(batches[0], batches[2])


def test_several_processes_share_the_batch_of_one_process(model: Path, tmp_path: Path) -> None:
    spec = spec_of("refldm", tmp_path, model, "run.steps=2", "run.batch=4")
    examples = make_task(spec).examples
    single = [step[0]["seeds"] for step in steps_of_batches(spec, examples, Share(4), 0)]
    halves = [
        [step[0]["seeds"] for step in steps_of_batches(spec, examples, Share(4, rank, 2), 0)] for rank in range(2)
    ]
    assert len({seed for step in single for seed in step}) == 8
    assert [[step[0::2], step[1::2]] for step in single] == [list(step) for step in zip(*halves, strict=True)]


@pytest.mark.parametrize("share", [{"batch": 0}, {"batch": 4, "processes": 3}, {"batch": 4, "accumulate": 8}])
def test_a_batch_that_cannot_be_divided_is_refused(share: dict[str, int]) -> None:
    with pytest.raises(TrainingError, match="cannot be shared out"):
        Share(**share)
