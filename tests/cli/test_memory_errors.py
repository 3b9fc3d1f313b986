"""Errors about too little memory at every stage of every command: they name the stage and the remedies."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from refldm_core.checkpoints.reading import read_tensors
from refldm_core.cli import benchmark_table, dataset, demo, evaluate, faces, inspect, sampling
from refldm_core.cli.main import main
from refldm_core.errors import CheckpointError
from refldm_core.evaluation import judges
from refldm_core.model import unet, vqgan
from refldm_core.pipeline import Restorer
from refldm_core.training import loop

from ..embedded import needs_embedded
from ..weights import TinyFiles
from .memory_errors import CPU_FULL, GPU_FULL, ILLEGAL_ACCESS, failing

Run = Callable[..., int]
ReadErrors = Callable[[], str]


@pytest.fixture
def restore(tiny: TinyFiles, tmp_path: Path, golden: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `refldm restore` in float32 on the CPU, in a folder with lq.png and ref.png. Returns the exit code."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(golden["in.lq_u8"][0].movedim(0, -1).numpy()).save("lq.png")
    Image.fromarray(golden["in.ref_u8"][0, 0].movedim(0, -1).numpy()).save("ref.png")
    model = ["--model", str(tiny.ckpt), "--config", str(tiny.config)]

    def run(*words: str, dtype: str = "float32") -> int:
        words = ("restore", *(words or ("lq.png", "--output", "out.png")), "--aligned", "--reference", "ref.png")
        return main([*words, *model, "--steps", "1", "--dtype", dtype, "--device", "cpu"])

    return run


@pytest.fixture
def read_errors(capsys: pytest.CaptureFixture[str]) -> ReadErrors:
    """Returns what the command has printed on standard error since the last call."""
    return lambda: capsys.readouterr().err


@pytest.mark.parametrize("error", [GPU_FULL, CPU_FULL, MemoryError()], ids=["GPU", "CPU", "Python"])
def test_error_while_loading_the_model_names_remedies(
    error: Exception, restore: Run, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "load_model", failing(error))
    assert restore() == 2
    message = read_errors()
    assert "not enough to load the model" in message and "about 2.3 GB" in message
    assert "--dtype bfloat16" in message and "close other programs" in message
    assert "--batch" not in message and "references" not in message and "--device cpu" not in message
    assert restore(dtype="bfloat16") == 2
    assert "--dtype" not in read_errors()


def test_error_while_encoding_references_names_remedies(
    restore: Run, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Restorer, "encode_references", failing(CPU_FULL))
    assert restore() == 2
    message = read_errors()
    assert "encode the references" in message and "DefaultCPUAllocator" in message
    assert "--reference-encoding separate" in message and "fewer references" in message and "3.7 GB" in message
    assert "--batch" not in message
    assert restore("lq.png", "--output", "out.png", "--reference-encoding", "separate") == 2
    message = read_errors()
    assert "--reference-encoding" not in message and "3.7 GB" not in message


def test_error_while_restoring_names_remedies_and_leaves_no_file(
    restore: Run, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Restorer, "restore", failing(GPU_FULL))
    assert restore() == 2
    message = read_errors()
    assert "restore this picture (CUDA out of memory. Tried to allocate 2.00 GiB." in message
    assert "--dtype bfloat16" in message and "--batch" not in message and "separate" not in message
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("network", "work", "remedy"),
    [
        (vqgan.Encoder, "Encoding 1 references jointly takes about", "--reference-encoding separate"),
        (unet.UNet, "not enough to restore this picture (CUDA out of memory", "--dtype bfloat16"),
        (vqgan.Decoder, "not enough to restore this picture (CUDA out of memory", "--dtype bfloat16"),
    ],
)
def test_network_without_memory_for_one_picture_is_explained_and_the_next_command_works(  # noqa: PLR0917
    network: type, work: str, remedy: str, restore: Run, read_errors: ReadErrors, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "forward", failing(GPU_FULL))
        assert restore() == 2
    message = read_errors()
    assert work in message and "Expected: " in message and remedy in message.partition("Remedy: ")[2]
    assert restore() == 0 and (tmp_path / "out.png").exists()


def test_next_picture_follows_one_that_did_not_fit(
    restore: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original_restore, errors = Restorer.restore, [CPU_FULL]

    def first_fails(self: Restorer, *args: Any, **kwargs: Any) -> Tensor:
        if errors:
            raise errors.pop()
        return original_restore(self, *args, **kwargs)

    monkeypatch.setattr(Restorer, "restore", first_fails)
    Path("out").mkdir()
    assert restore("lq.png", "ref.png", "--output", "out", "--json") == 2
    report = json.loads(capsys.readouterr().out)
    assert [entry["input"] for entry in report["failed"]] == ["lq.png"] and "memory" in report["failed"][0]["problem"]
    assert Path("out/ref.png").exists() and not Path("out/lq.png").exists()


@pytest.mark.parametrize("stage", ["loading", "restoring"])
def test_illegal_memory_access_is_no_lack_of_memory(stage: str, restore: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    if stage == "loading":
        monkeypatch.setattr(sampling, "load_model", failing(ILLEGAL_ACCESS))
    else:
        monkeypatch.setattr(Restorer, "restore", failing(ILLEGAL_ACCESS))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        restore()


@pytest.mark.parametrize(
    ("options", "expected", "unexpected"),
    [
        ({"batch": 8}, ["--batch below 8"], ["--upscale"]),
        ({"batch": 1, "upscale": 2.0}, ["smaller --upscale"], ["--batch"]),
        ({"batch": 8, "aligned": True}, [], ["--batch"]),
    ],
)
def test_remedies_for_whole_photos_match_the_options(
    options: dict[str, Any], expected: list[str], unexpected: list[str]
) -> None:
    args = Namespace(**{"aligned": False, "batch": 1, "upscale": 1.0, **options})
    restorer: Any = SimpleNamespace(device=torch.device("cpu"), dtype=torch.bfloat16)
    stage = sampling.restoring_stage(args, restorer)
    remedies = ", ".join(stage.remedies)
    assert all(words in remedies for words in expected) and not any(words in remedies for words in unexpected)
    assert "--dtype" not in remedies and "--device" not in remedies, (
        "the type is small, and the device is the CPU already"
    )


@pytest.mark.parametrize(
    ("name", "capability", "dtype_option"),
    [("NVIDIA GeForce RTX 3060", (8, 6), "--dtype bfloat16"), ("NVIDIA GeForce GTX 1660", (7, 5), None)],
)
def test_remedies_on_gpus_match_the_card(
    name: str, capability: tuple[int, int], dtype_option: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SimpleNamespace(name=name, major=capability[0], minor=capability[1], gcnArchName=name)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    restorer: Any = SimpleNamespace(device=torch.device("cuda", 0), dtype=torch.float32)
    remedies = sampling.encoding_stage(Namespace(reference_encoding="joint"), restorer).remedies
    assert [words for words in remedies if "--dtype" in words] == ([dtype_option] if dtype_option else [])
    assert any("--device cpu" in words for words in remedies)


def test_error_while_loading_face_networks_names_the_stage(
    restore: Run, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch, tiny: TinyFiles
) -> None:
    monkeypatch.setattr(faces, "load_detector", failing(MemoryError()))
    words = ["restore", "lq.png", "--reference", "ref.png", "--output", "out.png", "--model", str(tiny.ckpt)]
    assert main([*words, "--config", str(tiny.config), "--device", "cpu"]) == 2
    assert "find and recognize faces (MemoryError)" in read_errors()


FULL_FILE = RuntimeError("unable to mmap 1171068073 bytes from file <refldm.ckpt>: Cannot allocate memory (12)")


def test_file_that_does_not_fit_is_not_called_damaged(
    restore: Run, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch, tiny: TinyFiles
) -> None:
    monkeypatch.setattr(torch, "load", failing(FULL_FILE))
    with pytest.raises(RuntimeError, match="unable to mmap"):
        read_tensors(tiny.ckpt)
    assert restore() == 2
    message = read_errors()
    assert "not enough to load the model (unable to mmap 1171068073 bytes" in message and "damaged" not in message
    monkeypatch.setattr(torch, "load", failing(RuntimeError("PytorchStreamReader failed reading zip archive")))
    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(tiny.ckpt)


def test_error_of_evaluate_names_remedies(
    tmp_path: Path, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("truth", "restored"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (64, 64), "red").save(tmp_path / folder / "a.png")
    words = ["evaluate", "--predictions", str(tmp_path / "restored"), "--ground-truth", str(tmp_path / "truth")]
    words += ["--output", str(tmp_path / "out"), "--metrics", "psnr"]
    monkeypatch.setitem(judges._FIDELITY, "psnr", failing(GPU_FULL))
    assert main(words) == 2
    message = read_errors()
    assert "judge the pictures (CUDA out of memory" in message and "fewer --metrics" in message
    assert "--judge-device" not in message, "the judges run on the CPU already"
    monkeypatch.setattr(evaluate, "open_judges", failing(MemoryError()))
    assert main([*words, "--overwrite"]) == 2
    assert "judge the pictures" in read_errors()


@needs_embedded
def test_error_of_benchmark_table_names_remedies(
    tmp_path: Path, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["benchmark-table", "--output", str(tmp_path / "out"), "--synthetic", "1", "--counts", "1", "--steps", "1"]
    words += ["--model", "embedded", "--recognizer", "embedded", "--metrics", "psnr", "--kinds", "severe"]
    monkeypatch.setattr(Restorer, "restore", failing(GPU_FULL))
    assert main(words) == 2
    message = read_errors()
    assert "not enough to restore this face (CUDA out of memory" in message
    assert "--reference-encoding separate" in message
    monkeypatch.setattr(benchmark_table, "open_judges", failing(MemoryError()))
    assert main([*words, "--overwrite"]) == 2
    assert "not enough to judge the pictures" in read_errors()


def test_error_of_dataset_names_the_stage(
    tmp_path: Path, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    monkeypatch.setattr(dataset, "load_recognizer", failing(MemoryError()))
    assert main(["dataset", "build", str(tmp_path), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 2
    assert "find and recognize faces" in read_errors()
    monkeypatch.setattr(dataset, "choose_device", failing(AssertionError("aligned crops need no device")))
    assert main(["dataset", "build", str(tmp_path), "--output", str(tmp_path / "out"), "--aligned"]) == 2
    assert "--device" not in read_errors()


def test_error_of_demo_names_the_stage(
    tmp_path: Path, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "load_networks", failing(MemoryError()))
    assert main(["demo", "--output", str(tmp_path)]) == 2
    assert "run the demo" in (message := read_errors()) and "1.3 GB" in message


def test_error_of_train_names_remedies(
    tmp_path: Path, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text(f"task: recognizer\noutput: {tmp_path / 'run'}\n", encoding="utf-8")
    monkeypatch.setattr(loop, "train", failing(GPU_FULL))
    assert main(["train", str(tmp_path / "config.yaml")]) == 2
    message = read_errors()
    assert "not enough to train" in message and "run.accumulate" in message and "run.batch" in message


def test_error_of_any_command_is_explained(
    tiny: TinyFiles, read_errors: ReadErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "inspect_file", failing(MemoryError()))
    assert main(["inspect", str(tiny.ckpt)]) == 2
    assert "The memory was not enough to go on" in read_errors()
