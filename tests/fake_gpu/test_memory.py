"""The memory that the released architecture takes on a simulated GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.common.simulated_gpu import GPU, MemoryMeter, simulated_restorer
from benchmarks.memory.benchmark import GIB, row
from refldm_core.errors import ReferencesError
from refldm_core.model import attention
from refldm_core.model.attention import fused_attention
from refldm_core.model.variants import RELEASED
from refldm_core.pipeline import Restorer

DOCS = Path(__file__).parents[2] / "docs" / "memory.md"


@pytest.fixture
def restorer() -> Restorer:
    return simulated_restorer(RELEASED, torch.bfloat16)


def pictures(count: int) -> torch.Tensor:
    return torch.zeros(count, 3, RELEASED.crop_size, RELEASED.crop_size, device=GPU)


def test_meter_counts_the_tensors_that_are_alive() -> None:
    with MemoryMeter() as meter:
        alive = torch.zeros(1000, device=GPU)
        torch.zeros(500, device=GPU)  # freed at once
        view = alive[:10]
        view.add_(1.0)
    assert (meter.peak, meter.allocated) == (6000, 4000)


@pytest.mark.parametrize("references", [1, 16])
def test_docs_table_equals_the_measurement(references: int) -> None:
    assert row(torch.bfloat16, references, 8) in DOCS.read_text(encoding="utf-8").splitlines()


def test_eight_faces_take_little_more_memory_than_one(restorer: Restorer) -> None:
    """The first stage processes one picture at a time. Eight pictures at once would take 5 GiB in float32."""
    peaks: list[int] = []
    for faces in (1, 8):
        with MemoryMeter() as meter, torch.no_grad():
            latents = restorer.encode(pictures(faces))
            restorer.decode(latents)
        peaks.append(meter.peak)
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("pixels", [(512, 512), (512, 2048)], ids=str)
def test_first_stage_takes_the_memory_that_it_predicts(restorer: Restorer, pixels: tuple[int, int]) -> None:
    picture = torch.zeros(1, 3, *pixels, device=GPU)
    with MemoryMeter() as meter, torch.no_grad():
        restorer.first_stage.encode(picture)
    assert meter.peak == pytest.approx(restorer.first_stage.memory_needed(pixels[0] * pixels[1]), rel=0.05)


def test_restoring_with_few_references_fits_half_of_an_8_gb_card() -> None:
    """Up to 4 references take less than 4 GiB in all rows of the table."""
    rows = [line.strip("| ").split(" | ") for line in DOCS.read_text(encoding="utf-8").splitlines() if "float" in line]
    peaks = {(cells[0], int(cells[1]), int(cells[2])): float(cells[-2]) for cells in rows if len(cells) == 11}
    assert len(peaks) == 18
    assert max(peak for (_, references, _), peak in peaks.items() if references <= 4) < 4.0


def test_wide_heads_may_lack_a_fused_kernel() -> None:
    """The heads of the first stage are wide. Those of the U-Net have a fused kernel on every NVIDIA GPU."""
    narrow, wide = torch.empty(1, 1, 1, 32, device=GPU), torch.empty(1, 1, 1, 512, device=GPU)
    assert not attention._may_be_unfused(narrow)
    assert attention._may_be_unfused(wide)
    assert attention._may_be_unfused(torch.empty(1, 1, 1, 32, device="mps"))
    assert not attention._may_be_unfused(torch.empty(1, 1, 1, 512, device="cpu"))


def test_attention_without_a_fused_kernel_needs_no_quadratic_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """On fake tensors torch computes attention without a fused kernel, as it may on AMD's and Apple's GPUs."""

    def peak(references: int) -> int:
        wide = torch.zeros(1, 1, references * RELEASED.latent_size**2, 512, device=GPU, dtype=torch.bfloat16)
        with MemoryMeter() as meter:
            fused_attention(wide, wide, wide)
        return meter.peak

    assert peak(16) < 6 * peak(4)
    monkeypatch.setattr(attention, "LOGITS_AT_ONCE", 2**60)
    assert peak(16) > 10 * peak(4)


def test_joint_encoding_that_does_not_fit_fails_before_it_starts(
    restorer: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refldm_core.pipeline.free_bytes", lambda device: 2 * GIB)
    assert restorer.encode_references(pictures(4)).count == 4
    with pytest.raises(
        ReferencesError, match=r"Encoding 16 references jointly takes about 5\.0 GiB.*2\.0 GiB are free"
    ):
        restorer.encode_references(pictures(16))
    assert restorer.encode_references(pictures(16), "separate").count == 16
