"""The comparison with CodeFormer, with a stand-in for that network, whose only size takes seconds."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from benchmarks.codeformer import benchmark as codeformer
from benchmarks.codeformer.benchmark import codeformer_restorations, fast_settings, time_rounds
from refldm_core.presets import PRESETS

MODULE = "spandrel_extra_arches.architectures.CodeFormer"
CPU = torch.device("cpu")


class StandIn(nn.Module):
    """Like CodeFormer, it converts the output of the codebook to float32, and returns (picture, logits)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.embedding = nn.Parameter(torch.ones(2, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x), torch.eye(2).float() @ self.embedding


@pytest.fixture
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(MODULE)
    module.CodeFormer = StandIn  # type: ignore[attr-defined]
    for name in ("spandrel_extra_arches", "spandrel_extra_arches.architectures"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, MODULE, module)


@pytest.mark.usefixtures("_stand_in")
def test_codeformer_runs_in_float32_and_bfloat16() -> None:
    restorations = codeformer_restorations(CPU)
    assert list(restorations) == ["CodeFormer, float32", "CodeFormer, bfloat16"]
    for restore, dtype in zip(restorations.values(), (torch.float32, torch.bfloat16), strict=True):
        picture = restore()
        assert (picture.shape, picture.dtype) == ((1, 3, 512, 512), dtype)


@pytest.mark.usefixtures("_stand_in")
def test_report_has_a_row_for_each_restoration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "c.md"
    options = ["--tiny", "--steps", "2", "--repeats", "1", "--references", "2", "--device", "cpu", "--dtype", "float32"]
    monkeypatch.setattr("sys.argv", ["codeformer", *options, "--output", str(output)])
    assert codeformer.main() == 0
    report = output.read_text(encoding="utf-8")
    assert report.startswith("One face: CodeFormer at 512 px, ours at 128 px with 2 references and the preset fast (2 ")
    rows = [line.split("|") for line in report.splitlines() if line.startswith("| ") and "seconds" not in line]
    assert [row[1].strip() for row in rows] == [
        "CodeFormer, float32",
        "CodeFormer, bfloat16",
        "ours, 2 steps, float32, references encoded before",
        "ours, 2 steps, float32, encoding 2 references",
    ]
    assert float(rows[3][2]) > float(rows[2][2]) > 0


def test_error_names_the_missing_package(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)
    monkeypatch.setattr("sys.argv", ["codeformer", "--tiny", "--device", "cpu"])
    assert codeformer.main() == 2
    assert "pip install spandrel_extra_arches" in capsys.readouterr().err


def test_every_round_runs_all_restorations_and_the_first_round_is_not_counted() -> None:
    calls: list[str] = []
    seconds = time_rounds({name: lambda name=name: calls.append(name) for name in "ab"}, 2, CPU)
    assert calls == ["a", "b"] * 3
    assert [len(runs) for runs in seconds.values()] == [2, 2]


def test_fast_settings_are_the_preset_with_chosen_steps() -> None:
    preset = PRESETS["fast"].settings
    assert fast_settings(None) == preset
    assert fast_settings(6) == replace(preset, steps=6)
