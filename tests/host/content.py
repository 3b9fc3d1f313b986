"""The models and pictures that the graphs of the tests name."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.checkpoints.saving import convert
from tests.weights import GOLDEN, write_tiny

from .faces import PEOPLE, photo, save_networks, save_picture


def write_models(folder: Path) -> None:
    """Write tiny.safetensors (EMA weights) and raw.safetensors (raw weights, the same first stage)."""
    tiny = write_tiny(folder / "source")
    convert(tiny.ckpt, folder / "tiny.safetensors", config=tiny.config)
    convert(tiny.ckpt, folder / "raw.safetensors", config=tiny.config, weights="raw")


def fill_base(base: Path, model_files: Path) -> None:
    """Put models and pictures into the folders of a ComfyUI.

    Args:
        base: From `make_base`.
        model_files: From `write_models`.
    """
    for model in model_files.glob("*.safetensors"):
        (base / "models" / "refldm" / model.name).symlink_to(model)
    # The shipped workflows use this name. The loader recognizes the kind of a file by its content.
    (base / "models" / "refldm" / "refldm.ckpt").symlink_to(model_files / "tiny.safetensors")
    save_file(lora_weights(), base / "models" / "loras" / "lora.safetensors")
    golden = load_file(GOLDEN / "golden.safetensors")
    pictures = {
        "face.png": golden["in.lq_u8"][0],
        **{f"reference_{i + 1}.png": golden["in.ref_u8"][0, i] for i in range(3)},
    }
    for name, picture in pictures.items():
        Image.fromarray(picture.movedim(0, -1).numpy()).save(base / "input" / name)


def add_toy_faces(base: Path) -> list[Path]:
    """Put toy face networks and photos of toy faces into the folders of a ComfyUI. Return the photos."""
    save_networks(base / "models" / "refldm")
    pictures = {
        "group.png": photo([2, -2, 1, 0]),
        "one.png": photo([2]),
        "empty.png": photo([]),
        "frame_1.png": photo([2, 0]),
        "frame_2.png": photo([2, 0], shift=16),
        "frame_3.png": photo([None, 0], shift=32),
    }
    for name, person in PEOPLE.items():
        pictures[f"{name}_1.png"] = photo([person])
        pictures[f"{name}_2.png"] = photo([person], background=110)
    for name, picture in pictures.items():
        save_picture(picture, base / "input" / name)
    return [base / "input" / name for name in pictures]


def lora_weights() -> dict[str, Tensor]:
    """Return a LoRA on two layers of the tiny U-Net, with the key names of LoRA files."""
    generator = torch.Generator().manual_seed(3)
    shapes = {"middle_block_1_qkv": (384, 128), "input_blocks_3_1_proj_out": (64, 64)}
    weights: dict[str, Tensor] = {}
    for name, (out_channels, in_channels) in shapes.items():
        weights[f"lora_unet_{name}.lora_up.weight"] = 0.3 * torch.randn(out_channels, 4, 1, generator=generator)
        weights[f"lora_unet_{name}.lora_down.weight"] = 0.3 * torch.randn(4, in_channels, 1, generator=generator)
    return weights
