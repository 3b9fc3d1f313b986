"""Tests of complete runs of `refldm train` in their own processes: their output, interruption, and bad input."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from refldm_core.checkpoints.building import load_model
from refldm_core.cli.main import main
from refldm_core.pipeline import Restorer, SamplingSettings

from .runs import SIZE, assert_same, command, first_stage_config, logged, refldm_config, train, write


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first stage after 10 steps, uninterrupted."""
    folder = tmp_path_factory.mktemp("first_stage")
    done = train(write(first_stage_config(folder / "run"), folder / "config.yaml"))
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def refldm(first_stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refldm")
    config = refldm_config(folder / "run", first_stage / "vqgan.ckpt", run__sample_every=8)
    done = train(write(config, folder / "config.yaml"))
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_the_first_stage_learns_and_uses_its_codebook_and_discriminator(first_stage: Path) -> None:
    log = logged(first_stage)
    assert [row["step"] for row in log] == list(range(1, 11))
    assert log[-1]["autoencoder/l1"] < log[0]["autoencoder/l1"]
    assert "autoencoder/codebook" not in log[3] and "autoencoder/codebook" in log[4]
    assert log[4]["discriminator/loss"] == 0.0 and log[5]["discriminator/loss"] > 0.0


def test_the_codebook_starts_from_latents(first_stage: Path) -> None:
    """Its entries are spread like latents, not within the small range of the published initial values."""
    codebook = torch.load(first_stage / "vqgan.ckpt")["quantize.embedding.weight"]
    assert codebook.std() > 2.0 / len(codebook)
    assert len(torch.unique(codebook, dim=0)) == len(codebook)


def test_the_trained_model_restores(refldm: Path, tmp_path: Path) -> None:
    """The loading code and the command read it in the published layout."""
    model = load_model(refldm / "refldm.ckpt", config=refldm / "refldm.yaml")
    assert model.weights == "ema" and model.spec.crop_size == SIZE and model.spec.scale_factor != 1.0
    restorer = Restorer(model.unet, model.first_stage, model.spec)
    pictures = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
    kv = restorer.encode_references(pictures)
    assert restorer.restore(pictures[:1], kv, [0], SamplingSettings(steps=2)).shape == (1, 3, SIZE, SIZE)
    Image.new("RGB", (SIZE, SIZE), "gray").save(tmp_path / "face.png")
    words = [
        "restore",
        str(tmp_path / "face.png"),
        "--reference",
        str(tmp_path / "face.png"),
        "--aligned",
        "--steps",
        "2",
    ]
    words += ["--output", str(tmp_path / "out.png"), "--model", str(refldm / "refldm.ckpt")]
    assert main([*words, "--config", str(refldm / "refldm.yaml"), "--quiet"]) == 0
    assert Image.open(tmp_path / "out.png").size == (SIZE, SIZE)


def test_raw_and_averaged_weights_differ(refldm: Path) -> None:
    options = {"config": refldm / "refldm.yaml"}
    raw = load_model(refldm / "refldm.ckpt", weights="raw", **options)  # type: ignore[arg-type]
    ema = load_model(refldm / "refldm.ckpt", **options)  # type: ignore[arg-type]
    assert not torch.equal(raw.unet.out[-1].weight, ema.unet.out[-1].weight)  # type: ignore[arg-type]


def test_config_samples_and_tensorboard_logs_are_written(refldm: Path) -> None:
    config = (refldm / "config.yaml").read_text(encoding="utf-8")
    assert "weight_decay: 0.0" in config and "face_weight: 2.0" in config
    assert Image.open(refldm / "samples" / "0000008.png").size[1] == 4 * SIZE
    assert any("tfevents" in file.name for file in (refldm / "tensorboard").rglob("*"))


@pytest.mark.parametrize("task", ["first_stage", "refldm"])
def test_a_run_continued_after_kill_9_is_exact(task: str, first_stage: Path, refldm: Path, tmp_path: Path) -> None:
    uninterrupted = {"first_stage": first_stage, "refldm": refldm}[task]
    run = tmp_path / "run"
    values = {"first_stage": first_stage_config(run), "refldm": refldm_config(run, first_stage / "vqgan.ckpt")}[task]
    config = write(values, tmp_path / "config.yaml")
    after = random.Random().randint(3, 7)  # a random step in each run of this test
    process = subprocess.Popen(command(config), env={**os.environ, "OMP_NUM_THREADS": "1"})
    log = run / "log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= after):
        time.sleep(0.005)
    process.kill()  # SIGKILL where there are signals
    process.wait()
    done = train(config)
    assert done.returncode == 0, done.stderr
    continued, expected = (torch.load(folder / "state.pt", weights_only=True) for folder in (run, uninterrupted))
    assert continued["step"] == expected["step"]
    assert_same(continued["parts"], expected["parts"])
    assert_same(continued["optimizers"], expected["optimizers"])
    assert_same(continued["averages"], expected["averages"])
    assert logged(run) == logged(uninterrupted), f"killed at step {after}"


def test_two_processes_give_the_curve_of_one_process(first_stage: Path, refldm: Path, tmp_path: Path) -> None:
    config = write(refldm_config(tmp_path / "two", first_stage / "vqgan.ckpt"), tmp_path / "config.yaml")
    done = train(config, processes=2)
    assert done.returncode == 0, done.stderr
    for one, two in zip(logged(refldm), logged(tmp_path / "two"), strict=True):
        assert two["unet/loss"] == pytest.approx(one["unet/loss"], rel=2e-4)


def test_workers_give_the_curve_of_none(first_stage: Path, refldm: Path, tmp_path: Path) -> None:
    config = write(refldm_config(tmp_path / "run", first_stage / "vqgan.ckpt"), tmp_path / "config.yaml")
    done = train(config, "--set", "run.workers=2")
    assert done.returncode == 0, done.stderr
    assert logged(tmp_path / "run") == logged(refldm)


def test_two_processes_go_on_with_a_run(first_stage: Path, refldm: Path, tmp_path: Path) -> None:
    config = write(refldm_config(tmp_path / "two", first_stage / "vqgan.ckpt"), tmp_path / "config.yaml")
    assert train(config, "--set", "run.steps=5", processes=2).returncode == 0
    done = train(config, processes=2)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in logged(tmp_path / "two")] == list(range(1, 9))
    for one, two in zip(logged(refldm), logged(tmp_path / "two"), strict=True):
        assert two["unet/loss"] == pytest.approx(one["unet/loss"], rel=2e-4)


def test_accumulated_micro_batches_give_the_same_curve(first_stage: Path, refldm: Path, tmp_path: Path) -> None:
    values = refldm_config(
        tmp_path / "run", first_stage / "vqgan.ckpt", run__accumulate=2, run__checkpoint_activations=True
    )
    done = train(write(values, tmp_path / "config.yaml"))
    assert done.returncode == 0, done.stderr
    for single, accumulated in zip(logged(refldm), logged(tmp_path / "run"), strict=True):
        assert accumulated["unet/loss"] == pytest.approx(single["unet/loss"], rel=2e-4)


def test_cached_latents_give_the_same_curve(first_stage: Path, tmp_path: Path) -> None:
    curves: list[list[float]] = []
    for cache in ("", str(tmp_path / "cache")):
        run = tmp_path / f"run{bool(cache)}"
        values = refldm_config(
            run, first_stage / "vqgan.ckpt", groups__variants=1, run__steps=6, diffusion__cache=cache
        )
        done = train(write(values, tmp_path / "config.yaml"))
        assert done.returncode == 0, done.stderr
        curves.append([row["unet/loss"] for row in logged(run)])
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)
    assert list((tmp_path / "cache").rglob("*.safetensors"))


def test_fine_tuning_starts_from_the_raw_weights(first_stage: Path, refldm: Path, tmp_path: Path) -> None:
    values = refldm_config(tmp_path / "run", first_stage / "vqgan.ckpt", run__steps=2, optimizer__learning_rate=0)
    values["diffusion"] |= {"init": str(refldm / "refldm.ckpt"), "init_config": str(refldm / "refldm.yaml")}
    assert train(write(values, tmp_path / "config.yaml")).returncode == 0
    tuned, start = (torch.load(folder / "refldm.ckpt") for folder in (tmp_path / "run", refldm))
    name = "model.diffusion_model.out.2.weight"
    assert torch.equal(tuned[name], start[name])


def test_a_full_disk_leaves_the_last_state(first_stage: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="a limit on files stands in for a full disk")
    run = tmp_path / "run"
    config = write(first_stage_config(run), tmp_path / "config.yaml")
    assert train(config, "--set", "run.steps=3").returncode == 0
    before = (run / "state.pt").read_bytes()
    limit = len(before) // 2

    def limit_file_size() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        command(config), capture_output=True, text=True, check=False, preexec_fn=limit_file_size, timeout=300
    )
    assert done.returncode == 2, done.stderr
    assert "no room" in done.stderr or "cannot be written" in done.stderr
    assert (run / "state.pt").read_bytes() == before
    assert not list(run.glob(".*.part*"))
    assert train(config).returncode == 0
    assert_same(
        torch.load(run / "state.pt", weights_only=True)["parts"],
        torch.load(first_stage / "state.pt", weights_only=True)["parts"],
    )


def test_a_loss_that_is_not_finite_stops_the_run(first_stage: Path, tmp_path: Path) -> None:
    values = refldm_config(tmp_path / "run", first_stage / "vqgan.ckpt", run__steps=20, optimizer__learning_rate=100.0)
    values["optimizer"] |= {"warmup": 1, "clip": 0}
    done = train(write(values, tmp_path / "config.yaml"))
    assert done.returncode == 2
    assert re.search(r"The loss unet is (nan|inf) in step \d", done.stderr), done.stderr
    assert "optimizer.learning_rate" in done.stderr
    state = tmp_path / "run" / "state.pt"
    if state.exists():
        assert all(t.isfinite().all() for t in torch.load(state, weights_only=True)["parts"][0].values())


def test_another_config_in_the_same_folder_is_refused(refldm: Path, first_stage: Path, tmp_path: Path) -> None:
    values = refldm_config(refldm, first_stage / "vqgan.ckpt", run__sample_every=8, optimizer__learning_rate=2e-3)
    done = train(write(values, tmp_path / "config.yaml"))
    assert done.returncode == 2
    assert "optimizer.learning_rate: 0.001 -> 0.002" in done.stderr


def test_a_batch_that_cannot_be_shared_out_is_refused(first_stage: Path, tmp_path: Path) -> None:
    values = refldm_config(tmp_path / "run", first_stage / "vqgan.ckpt", run__batch=3, run__accumulate=2)
    done = train(write(values, tmp_path / "config.yaml"))
    assert done.returncode == 2 and "A batch of 3 cannot be shared out" in done.stderr


def test_missing_packages_are_named(tmp_path: Path) -> None:
    config = write(first_stage_config(tmp_path / "run"), tmp_path / "config.yaml")
    code = "import sys; sys.modules['accelerate'] = None\nfrom refldm_core.cli.main import main\n"
    code += f"sys.exit(main(['train', {str(config)!r}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and ".[train]" in done.stderr
