"""Random files with the names and shapes of the official ones are inspected, and restore a 512 px picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from refldm_core.cli.main import main
from refldm_core.diffusion.schedule import NoiseSpec

from .weights import GOLDEN

pytestmark = [
    pytest.mark.full_size,
    pytest.mark.skipif(psutil.virtual_memory().available < 6e9, reason="needs 6 GB of free memory"),
]


def _random(name: str, shape: list[int], generator: torch.Generator) -> Tensor:
    """Return a tensor that keeps activations finite: random weights, neutral norms and true betas."""
    if name == "betas":
        return torch.from_numpy(NoiseSpec().betas).float()
    if len(shape) < 2:  # norms, biases and tables
        return torch.full(shape, 1.0 if name.endswith("weight") else 0.0)
    return torch.randn(shape, generator=generator) / np.sqrt(np.prod(shape[1:]))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("official")
    manifest = json.loads((GOLDEN / "manifest_full.json").read_text(encoding="utf-8"))
    generator = torch.Generator().manual_seed(0)
    first_stage = {n: _random(n, shape, generator) for n, shape in manifest["vqgan.ckpt"].items()}
    tensors: dict[str, Tensor] = {}
    for name, shape in manifest["refldm.ckpt"].items():
        first_stage_name = next((name.removeprefix(p) for p in _FIRST_STAGE_PREFIXES if name.startswith(p)), None)
        tensors[name] = first_stage[first_stage_name] if first_stage_name else _random(name, shape, generator)
    torch.save(tensors, folder / "refldm.ckpt")
    torch.save({"state_dict": first_stage}, folder / "vqgan.ckpt")
    return folder / "refldm.ckpt", folder / "vqgan.ckpt"


_FIRST_STAGE_PREFIXES = ("first_stage_model.", "cond_stage_model.lq_image.", "cond_stage_model.ref_image.")


def test_inspect_names_the_released_architecture(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for path, kind in zip(files, ("model", "first stage"), strict=True):
        assert main(["inspect", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["is"] == f"a ReF-LDM {kind} of the released architecture"


def test_restore_writes_a_picture_of_the_released_size(files: tuple[Path, Path], tmp_path: Path) -> None:
    photo = Image.fromarray(np.asarray(data.astronaut()))
    photo.save(tmp_path / "face.png")
    photo.rotate(5).save(tmp_path / "reference.jpg")
    model, vqgan = map(str, files)
    arguments = [str(tmp_path / "face.png"), "--reference", str(tmp_path / "reference.jpg"), "--aligned"]
    arguments += ["--output", str(tmp_path / "out.png"), "--model", model, "--vqgan", vqgan]
    arguments += ["--steps", "1", "--dtype", "bfloat16"]
    assert main(["restore", *arguments]) == 0
    restored = np.asarray(Image.open(tmp_path / "out.png"))
    assert restored.shape == (512, 512, 3) and restored.std() > 1.0
