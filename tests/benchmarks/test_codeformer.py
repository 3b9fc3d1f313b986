"""The clock beside CodeFormer, with a stand-in for that network, whose one size takes seconds."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from benchmarks.codeformer import benchmark as codeformer
from benchmarks.codeformer.benchmark import clock, codeformers, fast
from refldm_core.presets import PRESETS

MODULE = "spandrel_extra_arches.architectures.CodeFormer"
CPU = torch.device("cpu")


class StandIn(nn.Module):
    """Like CodeFormer, it makes float32 of what the codebook gives, and gives (picture, logits)."""

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
def test_both_types() -> None:
    found = codeformers(CPU)
    assert list(found) == ["CodeFormer, float32", "CodeFormer, bfloat16"]
    for restore, dtype in zip(found.values(), (torch.float32, torch.bfloat16), strict=True):
        picture = restore()
        assert (picture.shape, picture.dtype) == ((1, 3, 512, 512), dtype)


@pytest.mark.usefixtures("_stand_in")
def test_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "c.md"
    words = ["--tiny", "--steps", "2", "--repeats", "1", "--references", "2", "--device", "cpu", "--dtype", "float32"]
    monkeypatch.setattr("sys.argv", ["codeformer", *words, "--output", str(output)])
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


def test_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, MODULE, None)
    monkeypatch.setattr("sys.argv", ["codeformer", "--tiny", "--device", "cpu"])
    assert codeformer.main() == 2
    assert "pip install spandrel_extra_arches" in capsys.readouterr().err


def test_rounds_in_turn_and_the_first_one_does_not_count() -> None:
    done: list[str] = []
    seconds = clock({name: lambda name=name: done.append(name) for name in "ab"}, 2, CPU)
    assert done == ["a", "b"] * 3
    assert [len(of) for of in seconds.values()] == [2, 2]


def test_fast() -> None:
    preset = PRESETS["fast"].settings
    assert fast(None) == preset
    assert fast(6) == replace(preset, steps=6)
