"""The commands: help pages, `inspect`, `convert`, and the choice of device and type."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from refldm_core.cli import options
from refldm_core.cli.arguments import faces
from refldm_core.cli.main import COMMANDS, main
from refldm_core.cli.options import choose_device, choose_dtype
from refldm_core.errors import SettingsError
from refldm_core.hardware import has_nvidia_driver

from ..weights import TinyFiles


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_the_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    page = capsys.readouterr().out
    assert len(page.splitlines()) > 10 and "--json" in page


@pytest.mark.parametrize("option", ["--smallest", "--guidance", "--blend", "--min-size"])
@pytest.mark.parametrize("text", ["nan", "inf", "many"])
def test_options_refuse_what_is_no_finite_number(option: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["restore", "photo.png", "--output", "out.png", option, text])
    assert stopped.value.code == 2
    assert f"argument {option}: '{text}' is not a finite number" in capsys.readouterr().err


def test_commands_are_listed_without_importing_torch() -> None:
    code = (
        "import sys; from refldm_core.cli.main import build_parser; build_parser(None); print('torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "False"


def test_package_runs_as_the_command() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "refldm_core", "--version"], capture_output=True, text=True, check=True
    )
    assert process.stdout.startswith("refldm ")


def test_inspect_reports_spec_and_parts_as_json(tiny: TinyFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tiny.ckpt), "--config", str(tiny.config), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["is"] == "a ReF-LDM model" and report["missing"] == []
    unet = report["parts"]["U-Net"]
    assert unet["used for sampling"] == "ema" and unet["copies"] == "raw and ema"
    assert unet["spec"]["num_head_channels"] == {"value": 16, "known from": "config config_tiny.yaml"}
    assert report["parts"]["diffusion"]["spec"]["latent_size"]["value"] == 16


def test_inspect_prints_spec_and_missing_parts(tiny: TinyFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tiny.vqgan)]) == 0
    printed = capsys.readouterr().out
    assert "a ReF-LDM first stage" in printed
    assert "codebook_size = 64" in printed and "rows of quantize.embedding.weight" in printed
    assert "missing for restoring: U-Net" in printed


def test_convert_writes_one_file_and_protects_existing_ones(
    tiny: TinyFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "one.safetensors"
    words = ["convert", str(tiny.ckpt), "--config", str(tiny.config), "--output", str(out), "--dtype", "float16"]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == out.stat().st_size < 0.6 * 4 * 6_100_000
    assert report["spec"]["latent_size"] == 16
    assert main(words) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert main(["convert", str(tiny.ckpt), "--output", str(tmp_path / "one.ckpt")]) == 2
    assert "one.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True, "avx2": True}, "bfloat16"), ({"avx2": True}, "float32")],
)
def test_auto_type_follows_the_processor(
    capabilities: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_dtype("auto", choose_device("cpu")) == getattr(torch, expected)
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # an older torch
    assert choose_dtype("auto", choose_device("cpu")) == torch.float32


@pytest.mark.parametrize(
    ("cuda", "advice"),
    [(None, "--index-url https://download.pytorch.org/whl/cu128"), ("13.0", "install a newer driver")],
    ids=["a build for the CPU", "an old driver"],
)
def test_auto_device_explains_an_unused_gpu(
    cuda: str | None, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(options, "has_nvidia_driver", lambda: True)
    assert choose_device("auto").type == "cpu"
    printed = capsys.readouterr()
    assert printed.out == "" and f"PyTorch {torch.__version__}" in printed.err and advice in printed.err
    assert choose_device("cpu").type == "cpu" and not capsys.readouterr().err, "the user named the CPU"
    monkeypatch.setattr(options, "has_nvidia_driver", lambda: False)
    assert choose_device("auto").type == "cpu" and not capsys.readouterr().err


@pytest.mark.parametrize(
    ("system", "driver", "is_present"),
    [
        ("linux", "/proc/driver/nvidia", True),
        ("linux", r"C:\Windows\System32\nvcuda.dll", False),
        ("win32", r"C:\Windows\System32\nvcuda.dll", True),
        ("linux", "nvidia-smi", True),
        ("win32", "nvidia-smi", True),
        ("win32", "", False),
        ("darwin", "", False),
    ],
)
def test_nvidia_driver_is_recognized_as_by_dev_py(system: str, driver: str, is_present: bool) -> None:
    programs = {driver: driver}
    assert has_nvidia_driver(system, exists=lambda path: path == driver, which=programs.get) == is_present


def test_device_and_type_by_name() -> None:
    import torch

    cpu = choose_device("cpu")
    assert choose_dtype("bfloat16", cpu) == torch.bfloat16
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="no cuda device"):
            choose_device("cuda")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("option", ["--color", "--colour"])
def test_color_option_accepts_its_earlier_name(option: str) -> None:
    parser = argparse.ArgumentParser()
    faces.add_arguments(parser)
    assert parser.parse_args([option, "lab"]).color == "lab"
    assert parser.parse_args([]).color == "wavelet"
