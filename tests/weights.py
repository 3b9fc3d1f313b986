"""Write checkpoints with reproducible random weights in the layout of the official files.

tests/golden was computed with the same weights. They come from integer arithmetic on a frozen byte stream, so they are
equal on every machine.
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

# These weights are so small that a wrong epsilon of the next norm changes the result.
_SMALL = ("mid.block_1.conv1.", "middle_block.0.in_layers.2.", "middle_block.0.emb_layers.1.")
# These weights are so large that attention is peaked, and a wrong key changes the result.
_LARGE = (".qkv.", "attn_1.q.weight", "attn_1.k.weight")


class TinyFiles(NamedTuple):
    """Paths of the files that `write_tiny` writes: a model for 128 px faces, 16x16 latents, heads of 16 channels.

    Attributes:
        ckpt: The content of the official refldm.ckpt: raw and EMA weights, three copies of the first stage, noise
            tables.
        safetensors: The same tensors without the second and third copy of the first stage.
        vqgan: Only the first stage, under `state_dict`.
        config: YAML of the published layout.
    """

    ckpt: Path
    safetensors: Path
    vqgan: Path
    config: Path


def write_tiny(folder: Path) -> TinyFiles:
    """Write the tiny model's files to a folder."""
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
    """Return the tiny model's tensors by name. Each is checked against its recorded hash."""
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
    """Return numbers that are about N(0, 1): centered sums of four uniform bytes."""
    stream = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "little")
    raw = np.frombuffer(np.random.RandomState(stream).bytes(4 * int(np.prod(shape))), np.uint8)
    return ((raw.reshape(-1, 4).astype(np.int64).sum(1) - 510) / np.sqrt(21845.0)).reshape(shape)


def _moments(name: str, shape: list[int]) -> tuple[float, float]:
    """Return the mean and the scale of a tensor's numbers."""
    mean = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
    if name.endswith("embedding.weight"):
        scale = 0.7
    elif len(shape) == 1:
        scale = 0.1
    else:
        scale = 1.0 / np.sqrt(np.prod(shape[1:]))
        if any(part in name for part in _LARGE):
            scale *= 1.5
    return mean, scale * (0.01 if any(part in name for part in _SMALL) else 1.0)
