"""Writing and loading files works with Windows' rules for files."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.common import reporting
from benchmarks.likeness.scores import Run
from refldm_core import embedded
from refldm_core.checkpoints import download
from refldm_core.checkpoints.building import load_first_stage, load_model
from refldm_core.checkpoints.download import fetch, unpack
from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.checkpoints.official import RemoteFile
from refldm_core.checkpoints.published import save_refldm
from refldm_core.checkpoints.reading import read_tensors
from refldm_core.checkpoints.references import StoredReferences, load_references, save_references
from refldm_core.checkpoints.saving import convert, save_pickled, write_safetensors
from refldm_core.data.build_output import write_references
from refldm_core.data.builder import BuildSettings, build_dataset
from refldm_core.data.degradation import RANGES, draw
from refldm_core.data.degraded import Degraded, write_table
from refldm_core.data.splits import SplitSettings
from refldm_core.evaluation import learned
from refldm_core.evaluation.benchmark import write_seconds, write_synthetic_people
from refldm_core.evaluation.dataset import find_targets
from refldm_core.evaluation.scores import Scores
from refldm_core.evaluation.session import Evaluation, JudgeSettings, evaluate, open_judges
from refldm_core.files import atomic_write
from refldm_core.images import save_image
from refldm_core.model.attention import KeyValue
from refldm_core.model.reference import ReferenceKV
from refldm_core.training.latents import LatentCache

from .data.photos import ByColor, color_reader, write_flat
from .weights import TinyFiles
from .windows import mapped_files, open_files

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")

REFERENCES = ReferenceKV({"layer": KeyValue(torch.randn(1, 4, 2), torch.randn(1, 4, 2))}, 2, (1, 2), "fingerprint")
TENSORS = {"a": torch.arange(1000.0)}


Writer = Callable[[Path], object]


def _write_model(folder: Path, tiny: TinyFiles) -> None:
    loaded = load_model(tiny.ckpt, config=tiny.config)
    unet, first_stage = loaded.unet.state_dict(), loaded.first_stage.state_dict()
    save_refldm(folder, loaded.spec, unet, unet, first_stage, updates=3)


def _unpack(folder: Path) -> None:
    with zipfile.ZipFile(folder / "pack.zip", "w") as packed:
        packed.writestr("pack/det.onnx", b"det")
    unpack(folder / "pack.zip", folder / "pack", {"det.onnx": hashlib.sha256(b"det").hexdigest()})


def _download(folder: Path) -> None:
    def transfer(file: RemoteFile, part: Path, on_bytes: object) -> None:
        part.write_bytes(b"model")

    (folder / "model.ckpt").unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_transfer", transfer)
        fetch(RemoteFile("model.ckpt", "", hashlib.sha256(b"model").hexdigest()), folder)


def _build(folder: Path) -> None:
    photos = write_flat(folder / "photos")
    build_dataset(photos, folder / "dataset", color_reader(ByColor()), BuildSettings(SplitSettings(test=2)))


def _evaluate(folder: Path) -> None:
    for part in ("truth", "ours"):
        (folder / part).mkdir(exist_ok=True)
        Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(folder / part / "a.png")
    settings = JudgeSettings(["psnr"])
    job = Evaluation("Title", *find_targets(folder / "truth"), {"ours": folder / "ours"})
    evaluate(job, settings, open_judges(settings), folder / "judged", overwrite=True)


def _write_figure(folder: Path) -> None:
    with atomic_write(folder / "plot.png") as temporary:
        Figure().savefig(temporary, format="png")


WRITERS: dict[str, Writer] = {
    "picture": lambda folder: save_image(Image.new("RGB", (8, 8)), folder / "a.png"),
    "JPEG picture": lambda folder: save_image(Image.new("RGB", (8, 8)), folder / "a.jpg"),
    "plot": _write_figure,
    "safetensors": lambda folder: write_safetensors(TENSORS, folder / "a.safetensors", {}),
    "pickle": lambda folder: save_pickled(TENSORS, folder / "a.ckpt"),
    "references": lambda folder: save_references(StoredReferences(REFERENCES), folder / "a.safetensors"),
    "cached latents": lambda folder: LatentCache(folder, "").put(0, TENSORS),
    "files of an archive": _unpack,
    "download": _download,
    "table of degradations": lambda folder: write_table(
        folder / "a.csv", {}, [Degraded("a.png", "severe", 1, draw(RANGES["severe"], 1))]
    ),
    "table of references": lambda folder: write_references(folder / "a.csv", [("a", ["b"])], degraded=False),
    "table of seconds": lambda folder: write_seconds(folder / "a.csv", {("severe", "ours", "a.png"): 1.0}),
    "dataset": _build,
    "synthetic people": lambda folder: write_synthetic_people(folder / "people", 1, 1, 32, overwrite=True),
    "scores": lambda folder: Scores(folder / "a.csv", resume=False).write(),
    "evaluation": _evaluate,
    "report of a benchmark": lambda folder: reporting.write(folder / "a.md", "text"),
    "file of scores": lambda folder: Run({}, "machine").write(folder / "a.json"),
}


def _sizes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("windows_files")
@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_works_with_windows_rules_and_can_run_again(writer: str, tmp_path: Path) -> None:
    WRITERS[writer](tmp_path)
    sizes = _sizes(tmp_path)
    assert sizes and all(sizes.values())
    WRITERS[writer](tmp_path)
    assert _sizes(tmp_path).keys() == sizes.keys()


@pytest.mark.usefixtures("windows_files")
def test_a_model_of_the_published_layout_is_written_with_windows_rules(tiny: TinyFiles, tmp_path: Path) -> None:
    for _ in range(2):
        _write_model(tmp_path, tiny)
    assert {path.name for path in tmp_path.iterdir()} == {"refldm.ckpt", "refldm.yaml"}


@needs_proc
def test_the_rules_of_windows_are_imposed(tmp_path: Path, windows_files: None) -> None:
    """Without these rules the other tests of this file would prove nothing."""
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with (tmp_path / "a").open("rb") as file:
        with pytest.raises(OSError, match=r"Bad file|Errno 9"):
            os.fsync(file.fileno())
        with pytest.raises(PermissionError):
            (tmp_path / "a").unlink()
        with pytest.raises(PermissionError):
            (tmp_path / "b").replace(tmp_path / "a")
    with pytest.raises(FileExistsError):
        (tmp_path / "a").rename(tmp_path / "b")
    mapped = torch.UntypedStorage.from_file(str(tmp_path / "a"), shared=False, nbytes=1)
    with pytest.raises(PermissionError):
        (tmp_path / "a").unlink()
    del mapped
    (tmp_path / "a").replace(tmp_path / "b")


@needs_proc
@pytest.mark.usefixtures("windows_files")
def test_the_file_of_loaded_references_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "anna.safetensors"
    latents, thumbnails = torch.randn(2, 4, 1, 2), torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    save_references(StoredReferences(REFERENCES, ("a", "b"), thumbnails, latents), path)
    loaded = load_references(path)
    assert str(path) not in mapped_files() | open_files()
    loaded_keys = loaded.references.layers["layer"].k.clone()
    save_references(StoredReferences(REFERENCES), path)
    assert loaded.latents is not None and torch.equal(loaded.latents, latents)
    assert torch.equal(loaded.references.layers["layer"].k, loaded_keys)


@needs_proc
@pytest.mark.usefixtures("windows_files")
def test_cached_latents_can_be_written_again_while_they_are_in_use(tmp_path: Path) -> None:
    LatentCache(tmp_path, "").put(0, TENSORS)
    reader = LatentCache(tmp_path, "")
    latents = reader.get(0)
    LatentCache(tmp_path, "").put(0, TENSORS)
    assert torch.equal(latents["a"], TENSORS["a"])


@needs_proc
@pytest.mark.usefixtures("windows_files")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("part", ["model", "first stage"])
def test_a_conversion_may_replace_its_source(part: str, dtype: torch.dtype, tiny: TinyFiles, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    convert(tiny.ckpt, path, config=tiny.config)
    if part == "model":
        convert(path, path, dtype=dtype)
    else:
        convert(tiny.ckpt, path, path, tiny.config, dtype=dtype)
    convert(tiny.ckpt, tmp_path / "separate.safetensors", config=tiny.config, dtype=dtype)
    replaced, separate = (read_tensors(file) for file in (path, tmp_path / "separate.safetensors"))
    assert replaced.metadata == separate.metadata and replaced.tensors.keys() == separate.tensors.keys()
    assert all(torch.equal(tensor, separate.tensors[name]) for name, tensor in replaced.tensors.items())


@needs_proc
@pytest.mark.usefixtures("windows_files")
def test_the_files_of_loaded_networks_can_be_deleted(tiny: TinyFiles, tmp_path: Path) -> None:
    """A training run may replace the models that it started with, and a user may convert a model that is in use."""
    model, detector = tmp_path / "model.safetensors", tmp_path / embedded.DETECTOR.name
    recognizer = tmp_path / embedded.RECOGNIZER.name
    convert(tiny.ckpt, model, config=tiny.config)
    ckpt, vqgan = (Path(shutil.copy(path, tmp_path)) for path in (tiny.ckpt, tiny.vqgan))
    shutil.copy(embedded.DETECTOR, detector)
    shutil.copy(embedded.RECOGNIZER, recognizer)
    networks = [
        load_model(model),
        load_model(ckpt, config=tiny.config),
        load_first_stage(vqgan),
        load_recognizer(recognizer),
        load_detector("embedded", tmp_path),
    ]
    for path in (model, ckpt, vqgan, detector, recognizer):
        path.unlink()
    assert networks


@needs_proc
@pytest.mark.usefixtures("windows_files")
def test_a_metric_of_folders_gets_copies_that_it_may_keep_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_pictures: list[BinaryIO] = []

    def metric(first: str, second: str, **options: object) -> float:
        open_pictures.extend(path.open("rb") for folder in (first, second) for path in Path(folder).iterdir())
        return float(len({file.read() for file in open_pictures}))

    monkeypatch.setattr(learned, "_create", lambda name, device: metric)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())
    assert learned.open_set_metric("fid")([tmp_path / "a.png"], [tmp_path / "b.png"]) == 2
    for file in open_pictures:
        file.close()
    shutil.rmtree(Path(open_pictures[0].name).parents[1])
