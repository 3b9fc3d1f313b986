"""The networks with the host's layers and attention on a simulated GPU, run by the host's Python."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .comfy import PACK, python_of


@pytest.fixture(scope="module")
def outcome(host: Path) -> dict[str, Any]:
    script = Path(__file__).with_name("fake_gpu.py")
    process = subprocess.run(
        [python_of(host), str(script), str(PACK), str(host)],
        cwd=host,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-4000:]
    return json.loads(process.stdout.splitlines()[-1])


def test_results_stay_on_the_gpu_in_the_compute_dtype(outcome: dict[str, Any]) -> None:
    simulated = outcome["simulated"]
    assert len(simulated) == 12
    for name, result in simulated.items():
        network, operations, storage = name.split()
        is_cast = operations == "manual_cast" and network == "unet"
        assert result["device"] == "cuda", name
        assert result["dtype"] == ("torch.bfloat16" if is_cast else storage), name


def test_nothing_is_copied_between_devices(outcome: dict[str, Any]) -> None:
    assert {name: result["copies"] for name, result in outcome["simulated"].items() if result["copies"]} == {}


@pytest.mark.parametrize("function", ["pytorch_attention", "normal_attention"])
def test_first_stage_uses_the_attention_of_the_host(outcome: dict[str, Any], function: str) -> None:
    """The host has an attention function of its own for VAEs, because fused kernels fail on some AMD cards."""
    assert outcome["vae_attention"][function] < 1e-5


def test_memory_estimates_slightly_exceed_the_memory_of_the_first_stage(outcome: dict[str, Any]) -> None:
    """The host's own estimates for such a VAE are about three times as large."""
    ratios = [ratio for pair in outcome["memory"].values() for ratio in pair]
    assert len(ratios) == 4
    assert min(ratios) > 1.1 and max(ratios) < 1.5
