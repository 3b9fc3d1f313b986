"""The networks with the host's layers and attention on a simulated GPU, in a process with the host's Python."""

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
    ran = subprocess.run(
        [python_of(host), str(script), str(PACK), str(host)],
        cwd=host,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout.splitlines()[-1])


def test_results_stay_on_the_gpu_in_the_type_of_computation(outcome: dict[str, Any]) -> None:
    simulated = outcome["simulated"]
    assert len(simulated) == 12
    for name, result in simulated.items():
        work, operations, storage = name.split()
        cast = operations == "manual_cast" and work == "unet"
        assert result["device"] == "cuda", name
        assert result["dtype"] == ("torch.bfloat16" if cast else storage), name


def test_nothing_is_copied_between_devices(outcome: dict[str, Any]) -> None:
    assert {name: result["copies"] for name, result in outcome["simulated"].items() if result["copies"]} == {}


@pytest.mark.parametrize("function", ["pytorch_attention", "normal_attention"])
def test_the_first_stage_attends_with_the_host_s_choice(outcome: dict[str, Any], function: str) -> None:
    """The host takes its own function for VAEs, because fused kernels fail on some AMD cards."""
    assert outcome["vae_attention"][function] < 1e-5


def test_the_host_is_told_a_little_more_than_the_first_stage_takes(outcome: dict[str, Any]) -> None:
    """The host's own figures for VAEs of this kind are about three times as large."""
    ratios = [ratio for pair in outcome["memory"].values() for ratio in pair]
    assert len(ratios) == 4
    assert min(ratios) > 1.1 and max(ratios) < 1.5
