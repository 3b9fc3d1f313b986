"""The work that is killed: what it writes, how its files are checked, and what its results are."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2  # noqa: F401 (so that a forked process need not import what the commands import late)
import matplotlib.figure  # noqa: F401
import numpy as np
import onnxruntime  # noqa: F401
import scipy.stats  # noqa: F401
import torch
import torch._dynamo
import torch.utils.tensorboard
import torchmetrics  # noqa: F401

from refldm_core.checkpoints.random_weights import write_random_model
from refldm_core.checkpoints.reading import read_tensors
from refldm_core.checkpoints.references import StoredReferences, load_references, save_references
from refldm_core.cli import dataset as dataset_command
from refldm_core.cli import evaluate, restore, train  # noqa: F401
from refldm_core.cli.main import main
from refldm_core.evaluation import html, report, scores, statistics  # noqa: F401
from refldm_core.images import load_image
from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV
from refldm_core.synthetic.dataset import DatasetSpec, render_missing
from refldm_core.training import first_stage, loop  # noqa: F401
from refldm_core.training.config_file import read_spec

from ..cli.evaluations import TARGETS, add_noise, smooth_picture
from ..data.photos import ByColor, color_reader, write_flat
from ..face.toys import save_arcface
from ..fuzz.seed_files import SPEC, photo
from ..training.runs import first_stage_config, write


@dataclass(frozen=True)
class Job:
    """Work that can be killed and continued.

    Attributes:
        name: Name of the command.
        prepare: Writes the input files into a folder.
        work: Does the work on these inputs, or continues it, in an output folder that exists. It returns the exit code.
        results: Returns the results in the output folder, for comparison.
    """

    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path, Path], int]
    results: Callable[[Path], dict[str, Any]]


def check_files(folder: Path) -> list[str]:
    """Open and decode every file that has a final name. Return the names of half files, each with the reason."""
    broken: list[str] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and "tensorboard" not in path.parts:
            try:
                _decode(path)
            except Exception as error:
                broken.append(f"{path.relative_to(folder)}: {type(error).__name__}: {str(error)[:200]}")
    return broken


def _decode(path: Path) -> None:  # noqa: PLR0912 (one branch for each kind of file)
    """Read a whole file.

    Raises:
        Exception: The file is not complete.
    """
    if path.name.endswith(("-journal", "-wal", "-shm")):  # parts of the database, which it repairs itself
        return
    match path.suffix:
        case ".png":
            load_image(path)
        case ".ckpt":
            read_tensors(path)
        case ".pt":
            torch.load(path, weights_only=True)
        case ".safetensors":
            load_references(path)
        case ".csv":
            _require_rows(path)
        case ".json":
            json.loads(path.read_text(encoding="utf-8"))
        case ".jsonl":
            for line in path.read_text(encoding="utf-8").splitlines():
                json.loads(line)
        case ".yaml":
            content = path.read_text(encoding="utf-8")
            assert content.endswith("\n") and content
            if path.name == "config.yaml":
                read_spec(path)
        case ".sqlite":
            database = sqlite3.connect(path)
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            database.close()
        case ".html":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
        case ".md" | ".txt":
            assert path.read_text(encoding="utf-8").endswith("\n")
        case _:
            raise AssertionError("nobody knows how to check this file")


def _require_rows(path: Path) -> None:
    content = path.read_bytes()
    assert content.endswith(b"\n")
    rows = list(csv.reader(content.decode("utf-8").splitlines()))
    assert rows and len({len(row) for row in rows}) == 1


def _bytes(folder: Path, *left_out: str) -> dict[str, Any]:
    """Return the hash of every file, by name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((".", *left_out))
    }


def _prepare_restore(inputs: Path) -> None:
    write_random_model(inputs / "model.safetensors", SPEC)
    (inputs / "album").mkdir()
    for i in range(6):
        photo(i, 32, 32).save(inputs / "album" / f"{i}.png")
    photo(9, 32, 32).save(inputs / "reference.png")


def _restore(inputs: Path, out: Path) -> int:
    words = ["restore", str(inputs / "album"), "--reference", str(inputs / "reference.png"), "--output", str(out)]
    words += ["--model", str(inputs / "model.safetensors"), "--aligned", "--resume", "--steps", "2", "--device", "cpu"]
    return main([*words, "--dtype", "float32", "--quiet"])


def _build(inputs: Path, out: Path) -> int:
    dataset_command._reader = lambda *_: color_reader(ByColor())
    return main(["dataset", "build", str(inputs / "photos"), "--output", str(out), "--test", "2", "--quiet"])


def _prepare_training(inputs: Path) -> None:
    folder = inputs / "people" / "portraits-32px"
    folder.mkdir(parents=True)
    for _ in render_missing(folder, DatasetSpec(2, 2, 32, 0), 1):
        pass


def _train(inputs: Path, out: Path) -> int:
    run = out / "run"
    config = first_stage_config(run, run__steps=8, run__batch=2, run__save_every=2, run__sample_every=4)
    config["corpus"] = {"people": 2, "pictures": 2, "size": 32, "cache": str(inputs / "people")}
    path = write(config, inputs.parent / f"{out.name}.yaml")
    return main(["train", str(path), "--quiet"])


def _trained(out: Path) -> dict[str, Any]:
    state = torch.load(out / "run" / "state.pt", weights_only=True)
    tensors = read_tensors(out / "run" / "vqgan.ckpt", copy=True).tensors
    pixels = {
        path.name: np.asarray(load_image(path)).tobytes() for path in sorted((out / "run" / "samples").glob("*.png"))
    }
    log = (out / "run" / "log.jsonl").read_text(encoding="utf-8")
    return {"state": state, "tensors": dict(tensors), "samples": pixels, "log": log}


def _prepare_references(inputs: Path) -> None:
    for i in range(8):
        generator = torch.Generator().manual_seed(i)
        layers = {
            f"layer.{n}": KeyValue(*(torch.randn(2, 256, 64, generator=generator) for _ in range(2))) for n in range(8)
        }
        thumbnails = torch.full((4, 3, 64, 64), i, dtype=torch.uint8)
        stored = StoredReferences(ReferenceKV(layers, 4, (8, 8), f"model {i}"), ("a", "b", "c", "d"), thumbnails)
        save_references(stored, inputs / f"{i}.safetensors")


def _save_references(inputs: Path, out: Path) -> int:
    """Save several people, and replace a person's file several times."""
    for i in range(8):
        stored = load_references(inputs / f"{i}.safetensors")
        save_references(stored, out / f"person {i}.safetensors")
        save_references(stored, out / "latest.safetensors")
    return 0


def _prepare_evaluation(inputs: Path) -> None:
    for name in ("truth", "good", "poor"):
        (inputs / name).mkdir()
    for i, name in enumerate(TARGETS):
        picture = smooth_picture(i)
        add_noise(picture, 0, 0).save(inputs / "truth" / f"{name}.png")
        add_noise(picture, 8, 100 + i).save(inputs / "good" / f"{name}.png")
        add_noise(picture, 60, 200 + i).save(inputs / "poor" / f"{name}.png")
    save_arcface(inputs / "first.onnx", 0)


def _evaluate(inputs: Path, out: Path) -> int:
    scores._WRITE_INTERVAL = 0.0  # so that the table is written after every picture
    words = ["evaluate", "--predictions", str(inputs / "good"), str(inputs / "poor"), "--metrics", "psnr", "ids"]
    words += ["--ground-truth", str(inputs / "truth"), "--recognizer", str(inputs / "first.onnx")]
    return main([*words, "--output", str(out), "--resume", "--quiet"])


JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job("restore --resume", _prepare_restore, _restore, _bytes),
        Job(
            "dataset build",
            lambda inputs: void(write_flat(inputs / "photos")),
            _build,
            lambda out: _bytes(out, "build."),
        ),
        Job("train", _prepare_training, _train, _trained),
        Job("Save References", _prepare_references, _save_references, _bytes),
        Job("evaluate", _prepare_evaluation, _evaluate, _bytes),
    )
}


def void(_: object) -> None:
    """Ignore a value."""
