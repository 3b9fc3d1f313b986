"""Restoring on a simulated GPU: devices, dtypes, and copies between the CPU and the GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.common.measuring import TINY
from benchmarks.common.simulated_gpu import GPU, CopyCounter, simulated_restorer
from refldm_core.model.reference import ReferenceKV
from refldm_core.model.unet import References
from refldm_core.pipeline import ReferenceEncoding, Restorer, SamplingSettings
from refldm_core.presets import PRESETS
from refldm_core.progress import Step

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

SETTINGS = {
    **{
        f"preset {name}": replace(preset.settings, steps=min(max(preset.settings.steps, 2), 5))
        for name, preset in PRESETS.items()
    },
    "unguided": SamplingSettings(4, guidance=1.0),
    "uniform": SamplingSettings(4, spacing="uniform"),
    "dpmpp_2m": SamplingSettings(5, "dpmpp_2m"),
    "interval": SamplingSettings(5, guidance_interval=(200, 700)),
    "half of the tokens": SamplingSettings(4, reference_tokens="half"),
    "interval of dpmpp_2m": SamplingSettings(5, "dpmpp_2m", guidance_interval=(0, 500)),
}


@pytest.fixture(scope="module", params=DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))
def restorer(request: pytest.FixtureRequest) -> Restorer:
    return simulated_restorer(TINY, request.param)


@pytest.fixture(scope="module")
def bfloat16_restorer() -> Restorer:
    return simulated_restorer(TINY, torch.bfloat16)


def photos(count: int, device: torch.device | str = "cpu") -> Tensor:
    return torch.zeros(count, 3, TINY.crop_size, TINY.crop_size, device=device)


def reference_sets(restorer: Restorer, counts: tuple[int, ...]) -> list[ReferenceKV | None]:
    return [restorer.encode_references(photos(count)) if count else None for count in counts]


class CopiesPerStep:
    """An `OnStep` that records the number of copies at the end of each step."""

    def __init__(self, counter: CopyCounter) -> None:
        self._counter = counter
        self._totals: list[int] = []

    def __call__(self, step: Step) -> None:
        assert step.x.device == step.x_0.device == torch.device("cuda:0")
        assert step.x.dtype == step.x_0.dtype == torch.float32
        self._totals.append(len(self._counter.copies))

    def between_steps(self) -> list[int]:
        """Return the number of copies in each step but the first."""
        return [after - before for before, after in zip(self._totals, self._totals[1:], strict=False)]


def restore(
    restorer: Restorer, references: References, faces: int, settings: SamplingSettings
) -> tuple[Tensor, CopiesPerStep]:
    with CopyCounter() as counter:
        copies = CopiesPerStep(counter)
        return restorer.restore(photos(faces), references, [1] * faces, settings, copies), copies


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_no_step_copies_between_devices(restorer: Restorer, settings: SamplingSettings) -> None:
    references = reference_sets(restorer, (2,))[0]
    restored, copies = restore(restorer, references, 2, settings)
    assert restored.shape == (2, 3, TINY.crop_size, TINY.crop_size)
    assert (restored.device.type, restored.dtype) == ("cuda", torch.float32)
    assert copies.between_steps() and set(copies.between_steps()) == {0}


@pytest.mark.parametrize("settings", [SETTINGS["uniform"], SETTINGS["interval"]], ids=["all", "interval"])
@pytest.mark.parametrize("counts", [(1, 1), (1, 3), (3, 1, 3), (2, 0), (0, 0), (1, 0, 4)], ids=str)
def test_unequal_reference_counts_copy_nothing_between_devices(
    bfloat16_restorer: Restorer, counts: tuple[int, ...], settings: SamplingSettings
) -> None:
    _, copies = restore(bfloat16_restorer, reference_sets(bfloat16_restorer, counts), len(counts), settings)
    assert set(copies.between_steps()) == {0}


def test_eta_copies_noise_once_a_step(bfloat16_restorer: Restorer) -> None:
    """The noise comes from the CPU, so that it does not depend on the device."""
    _, copies = restore(bfloat16_restorer, None, 2, SamplingSettings(4, eta=1.0))
    assert set(copies.between_steps()) == {1}


def test_restoring_copies_only_pictures_noise_and_the_finiteness_check(bfloat16_restorer: Restorer) -> None:
    references = reference_sets(bfloat16_restorer, (2,))[0]
    with CopyCounter() as counter:
        bfloat16_restorer.restore(photos(2), references, [1, 2], SamplingSettings(4))
    assert len(counter.copies) == 3


@pytest.mark.parametrize("encoding", ["joint", "separate"])
def test_references_are_encoded_on_the_gpu(restorer: Restorer, encoding: ReferenceEncoding) -> None:
    crops = photos(3, GPU)
    with CopyCounter() as counter:
        references = restorer.encode_references(crops, encoding)
    assert (references.device.type, references.dtype, references.count) == ("cuda", restorer.dtype, 3)
    assert len(counter.copies) == 1, "the result of the finiteness check"


def test_selecting_references_copies_nothing_between_devices(bfloat16_restorer: Restorer) -> None:
    references = bfloat16_restorer.encode_references(photos(4))
    with CopyCounter() as counter:
        selected = ReferenceKV.concat([references.select(2, 0, 2), references.select(3)])
    assert (selected.count, selected.device.type) == (4, "cuda")
    assert counter.copies == []


def test_moving_references_keeps_their_dtype(bfloat16_restorer: Restorer) -> None:
    references = bfloat16_restorer.encode_references(photos(2)).to("cpu")
    assert references.device.type == "cpu"
    assert references.to(GPU).dtype == bfloat16_restorer.dtype


def test_16_bit_weights_are_in_channels_last(restorer: Restorer) -> None:
    """Tensor cores use this memory layout. The codebook stays in float32."""
    assert restorer.first_stage.quantize.embedding.weight.dtype == torch.float32
    for network, in_16_bit in (
        (restorer.unet, restorer.dtype != torch.float32),
        (restorer.first_stage, restorer.first_stage.dtype != torch.float32),
    ):
        kernels = [p for p in network.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
        assert {p.is_contiguous(memory_format=torch.channels_last) for p in kernels} == {in_16_bit}
