"""NaN and infinity raise an error with a remedy, in the library and on the command line, and never become a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from refldm_core.checkpoints.saving import convert
from refldm_core.cli.main import main
from refldm_core.errors import NotFiniteError
from refldm_core.pipeline import Restorer, SamplingSettings

from .conftest import load_restorer
from .weights import TinyFiles

ONE_STEP = SamplingSettings(steps=1)


def _constant_prediction(value: float) -> Callable[..., Tensor]:
    """Return a `UNet.forward` that predicts one value everywhere."""
    return lambda x, *_, **__: torch.full_like(x[:, : x.shape[1] // 2], value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_restorer_refuses_values_that_are_not_finite_from_the_unet(
    value: float, restorer: Restorer, golden: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restorer.unet, "forward", _constant_prediction(value))
    with pytest.raises(NotFiniteError, match=r"restored pictures .* not finite") as caught:
        restorer.restore(golden["in.lq"], None, [0], ONE_STEP)
    assert "get the model file again" in caught.value.remedy, "float32 is no remedy, since it is used already"


def test_a_restorer_refuses_values_that_are_not_finite_from_the_first_stage(
    restorer: Restorer, lq_latent: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restorer.first_stage, "decode", lambda latent: torch.full((1, 3, 8, 8), float("nan")))
    with pytest.raises(NotFiniteError, match="restored pictures"):
        restorer.decode(lq_latent)


@pytest.fixture(scope="module")
def overflowing(tiny: TinyFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a model that works in float32. The output of its first layer exceeds 65504, the limit of float16."""
    folder = tmp_path_factory.mktemp("overflowing")
    convert(tiny.ckpt, folder / "unchanged.safetensors", config=tiny.config)
    weights: dict[str, Tensor] = load_file(folder / "unchanged.safetensors")
    first = next(name for name in weights if name.endswith("input_blocks.0.0.weight"))
    weights[first] = weights[first] / weights[first].abs().max() * 60000.0
    path = folder / "model.safetensors"
    save_file(weights, path, _metadata(folder / "unchanged.safetensors"))
    return path


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    opened: Any = safe_open(path, framework="pt")
    with opened as file:
        return dict(file.metadata())


def test_references_with_values_that_are_not_finite_are_refused_when_encoded(
    overflowing: Path, reference_images: Tensor
) -> None:
    half = load_restorer(overflowing, None, dtype=torch.float16)  # type: ignore[arg-type]
    with pytest.raises(NotFiniteError, match="encoded references") as caught:
        half.encode_references(reference_images)
    assert "--dtype float32" in caught.value.remedy and "dtype=torch.float32" in caught.value.remedy


@pytest.fixture
def folder(tmp_path: Path, golden: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which holds face.png."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(golden["in.lq_u8"][0].movedim(0, -1).numpy()).save("face.png")
    return tmp_path


@pytest.mark.parametrize("references", [[], ["--reference", "face.png"]], ids=["without", "with references"])
def test_restore_writes_no_black_picture(
    references: list[str], overflowing: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["restore", "face.png", *references, "--aligned", "--output", "out.png", "--steps", "1"]
    arguments += ["--device", "cpu", "--model", str(overflowing)]
    assert main([*arguments, "--dtype", "float16"]) == 2
    error = capsys.readouterr().err
    assert "not finite" in error and "--dtype float32" in error
    assert not (folder / "out.png").exists()
    assert main([*arguments, "--dtype", "float32"]) == 0
    assert np.asarray(Image.open(folder / "out.png")).std() > 1.0
