"""Checkpoints with reproducible random weights, in the layout of the official files.

The weights are those that tests/golden was computed with: integer arithmetic on a frozen byte stream, so that they are
the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"

# Scaled down so far that the epsilon of the norm after them shows.
_FAINT = ("mid.block_1.conv1.", "middle_block.0.in_layers.2.", "middle_block.0.emb_layers.1.")
_SHARP = (".qkv.", "attn_1.q.weight", "attn_1.k.weight")  # peaky attention, so that a wrong key shows


class TinyFiles(NamedTuple):
    """Paths of what `write_tiny` writes: 128 px faces, 16x16 latents, heads of 16 channels."""

    ckpt: Path
    """Everything that the official refldm.ckpt has: raw and EMA weights, first stage three times, noise tables."""
    safetensors: Path
    """The same without the two copies of the first stage."""
    vqgan: Path
    """The first stage alone, under `state_dict`."""
    config: Path
    """YAML of the published layout."""


def write_tiny(folder: Path) -> TinyFiles:
    """Write the tiny model's files into a folder."""
    files = TinyFiles(
        folder / "refldm_tiny.ckpt",
        folder / "refldm_tiny.safetensors",
        folder / "vqgan_tiny.ckpt",
        folder / "config_tiny.yaml",
    )
    tensors = tiny_tensors()
    first_stage = {n.removeprefix("first_stage_model."): t for n, t in tensors.items() if n.startswith("first_stage")}
    copies = {f"cond_stage_model.{which}.{n}": t for which in ("lq_image", "ref_image") for n, t in first_stage.items()}
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({**tensors, **copies}, files.ckpt)
    save_file(tensors, files.safetensors)
    torch.save({"state_dict": first_stage}, files.vqgan)
    files.config.write_text((GOLDEN / "config_tiny.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return files


def tiny_tensors() -> dict[str, Tensor]:
    """Name -> tensor of the tiny model, checked against the recorded hashes."""
    recorded = json.loads((GOLDEN / "weights.json").read_text(encoding="utf-8"))
    seed = recorded["seed"]
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, shape in recorded["unet"].items():
        mean, scale = _moments(name, shape)
        raw = mean + scale * _noise(seed, name, shape)
        arrays["model." + name] = raw.astype(np.float32)
        ema = raw + 0.25 * scale * _noise(seed, "ema/" + name, shape)
        arrays["model_ema." + name.replace(".", "")] = ema.astype(np.float32)
    for name, shape in recorded["vqgan"].items():
        mean, scale = _moments(name, shape)
        arrays["first_stage_model." + name] = (mean + scale * _noise(seed, "vq/" + name, shape)).astype(np.float32)
    for name, array in arrays.items():
        assert hashlib.sha256(array.tobytes()).hexdigest()[:16] == recorded["sha256_16"][name], name
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    ema_state = {
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(12345, dtype=torch.int32),
    }
    return {**tensors, **load_file(GOLDEN / "buffers.safetensors"), **ema_state}


def _noise(seed: int, name: str, shape: list[int]) -> NDArray[np.float64]:
    """About N(0, 1): the centered sum of four uniform bytes."""
    stream = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "little")
    raw = np.frombuffer(np.random.RandomState(stream).bytes(4 * int(np.prod(shape))), np.uint8)
    return ((raw.reshape(-1, 4).astype(np.int64).sum(1) - 510) / np.sqrt(21845.0)).reshape(shape)


def _moments(name: str, shape: list[int]) -> tuple[float, float]:
    mean = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
    if name.endswith("embedding.weight"):
        scale = 0.7
    elif len(shape) == 1:
        scale = 0.1
    else:
        scale = 1.0 / np.sqrt(np.prod(shape[1:]))
        if any(part in name for part in _SHARP):
            scale *= 1.5
    return mean, scale * (0.01 if any(part in name for part in _FAINT) else 1.0)
