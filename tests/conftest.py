"""Shared fixtures: the golden tensors, a model with the weights that gave them, and rendered people."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.likeness.cases import FIRST_PERSON, Cases
from refldm_core.checkpoints.building import load_model
from refldm_core.pipeline import Restorer

from . import windows
from .weights import GOLDEN, TinyFiles, write_tiny

# The tensors of the tests are small. Several threads would slow the tests down, most of all on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    return load_file(GOLDEN / "golden.safetensors")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyFiles:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def restorer(tiny: TinyFiles) -> Restorer:
    """Return a restorer that all tests share and none may change. `load_restorer` loads another one."""
    return load_restorer(tiny.ckpt, tiny.config)


def load_restorer(ckpt: Path, config: Path, **options: object) -> Restorer:
    model = load_model(ckpt, config=config, **options)  # type: ignore[arg-type]
    return Restorer(model.unet, model.first_stage, model.spec)


@pytest.fixture(scope="session")
def lq_latent(restorer: Restorer, golden: dict[str, Tensor]) -> Tensor:
    return restorer.encode(golden["in.lq"])


@pytest.fixture(scope="session")
def reference_images(golden: dict[str, Tensor]) -> Tensor:
    """Return three references, (3, 3, 128, 128) in [-1, 1]."""
    return torch.cat(golden["in.ref_wide"].chunk(3, dim=-1))


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of rendered people for the likeness benchmark: three of 64 pixels, and references of a fourth."""
    folder = tmp_path_factory.mktemp("cases")
    for _ in Cases(folder, FIRST_PERSON, people=3, size=64).render(workers=1):
        pass
    return folder


@pytest.fixture
def windows_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply the rules of Windows for files."""
    windows.impose(monkeypatch)
