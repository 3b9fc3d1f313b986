"""Small training runs for the tests. They take seconds on one core, and use float32 so that repetitions are exact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

SIZE = 32

PEOPLE = tempfile.TemporaryDirectory()
"""Cache of the rendered people for all tests of this process."""

FIRST_STAGE: dict[str, Any] = {
    "channels": 32,
    "channel_mult": [1, 2],
    "num_res_blocks": 1,
    "z_channels": 4,
    "embed_dim": 4,
    "codebook_size": 32,
}
UNET: dict[str, Any] = {
    "model_channels": 32,
    "channel_mult": [1, 2],
    "num_res_blocks": 1,
    "attention_downsampling": [2],
    "num_head_channels": 16,
}


def with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Replace the lists in a section of a config by tuples, which its dataclass needs."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def first_stage_config(output: Path, **changes: Any) -> dict[str, Any]:
    """Return the config of a VQGAN without the perceptual term. Its codebook and discriminator start later."""
    config: dict[str, Any] = {
        "task": "first_stage",
        "output": str(output),
        "seed": 3,
        "corpus": {"people": 6, "pictures": 3, "size": SIZE, "cache": PEOPLE.name},
        "optimizer": {"learning_rate": 1e-3, "warmup": 4, "decay": "cosine"},
        "run": {
            "steps": 10,
            "batch": 4,
            "precision": "float32",
            "ema": 0.9,
            "save_every": 3,
            "sample_every": 0,
            "cpu": True,
        },
        "first_stage": {
            "model": FIRST_STAGE,
            "loss": {
                "perceptual": 0,
                "adversarial": 0.1,
                "discriminator_from": 5,
                "discriminator_width": 8,
                "quantize_from": 4,
                "face_weight": 1,
            },
        },
    }
    return _with_changes(config, changes)


def refldm_config(output: Path, first_stage: Path, **changes: Any) -> dict[str, Any]:
    """Return the config of a ReF-LDM without an identity term. Two targets share each set of references."""
    config: dict[str, Any] = {
        "task": "refldm",
        "output": str(output),
        "seed": 5,
        "corpus": {"people": 6, "pictures": 5, "size": SIZE, "cache": PEOPLE.name},
        "groups": {"targets": 2, "references": 2, "count": "random", "repeat": False, "augment": True},
        "optimizer": {"learning_rate": 1e-3, "warmup": 4},
        "run": {
            "steps": 8,
            "batch": 4,
            "precision": "float32",
            "ema": 0.9,
            "save_every": 3,
            "sample_every": 0,
            "cpu": True,
        },
        "diffusion": {
            "first_stage": str(first_stage),
            "unet": UNET,
            "scale_factor": "auto",
            "drop": {"none": 0.3},
            "loss": {"weighting": "inverse_sqrt_snr", "face_weight": 2, "identity": {"weight": 0}},
        },
    }
    return _with_changes(config, changes)


def _with_changes(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            config.setdefault(section, {})[key] = value
        else:
            config[section] = value
    return config


def write(config: dict[str, Any], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def command(config: Path, *options: str, processes: int = 1) -> list[str]:
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
    )
    return [sys.executable, *launcher, "-m", "refldm_core", "train", str(config), "--quiet", *options]


def train(config: Path, *options: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(config, *options, processes=processes),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=300,
    )


def logged(output: Path) -> list[dict[str, float]]:
    """Return the logged values of each step."""
    return [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def assert_same(actual: Any, expected: Any) -> None:
    """Assert that two nested values have equal types and equal elements."""
    assert type(actual) is type(expected)
    if isinstance(actual, dict):
        assert actual.keys() == expected.keys()
        for name in actual:
            assert_same(actual[name], expected[name])
    elif isinstance(actual, (list, tuple)):
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected, strict=True):
            assert_same(a, b)
    elif isinstance(actual, (Tensor, np.ndarray)):
        assert torch.equal(torch.as_tensor(actual), torch.as_tensor(expected))
    elif hasattr(actual, "__dict__"):
        assert_same(vars(actual), vars(expected))
    else:
        assert actual == expected
