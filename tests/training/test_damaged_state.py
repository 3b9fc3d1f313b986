"""Tests of damaged and foreign state files: they are refused by name, and no code in them is run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from refldm_core.training.ema import MovingAverage
from refldm_core.training.run_files import RunState, truncate_log
from refldm_core.training.task import TrainingError


def _run_state() -> RunState:
    part = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(part.parameters())
    part(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return RunState([part], [optimizer], {"part": MovingAverage(part, 0.99)}, None)


def _content(state: RunState, **changes: Any) -> dict[str, Any]:
    content = {
        "step": 7,
        "parts": [part.state_dict() for part in state.parts],
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "averages": {name: average.state_dict() for name, average in state.averages.items()},
        "scaler": {},
    }
    return {name: value for name, value in (content | changes).items() if value is not ...}


class Malicious:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def _cut(path: Path) -> None:
    torch.save(_content(_run_state()), path)
    path.write_bytes(path.read_bytes()[:-400])


def _flipped(path: Path) -> None:
    torch.save(_content(_run_state()), path)
    content = bytearray(path.read_bytes())
    start = content.index(b"data.pkl") + 80
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)


def _saved(**changes: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(_content(_run_state(), **changes), path)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("hello", encoding="utf-8"),
    "cut": _cut,
    "flipped": _flipped,
    "pickle of code": lambda path: path.write_bytes(pickle.dumps(Malicious())),
    "code in an archive": lambda path: torch.save(Malicious(), path),
    "a list": lambda path: torch.save([1, 2], path),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "no step": _saved(step=...),
    "a step of text": _saved(step="seven"),
    "no step at all": _saved(step=None),
    "a step below 0": _saved(step=-1),
    "a step of many digits": _saved(step=10**30),
    "half a step": _saved(step=7.5),
    "no parts": _saved(parts=...),
    "parts of text": _saved(parts=["x"]),
    "parts are a number": _saved(parts=5),
    "other parts": _saved(parts=[nn.Linear(4, 2).state_dict()]),
    "two parts": _saved(parts=[nn.Linear(3, 2).state_dict()] * 2),
    "optimizers of text": _saved(optimizers=["x"]),
    "an optimizer without groups": _saved(optimizers=[{"state": {}}]),
    "another average": _saved(averages={"other": {"updates": 1, "weights": {}}}),
    "averages are a list": _saved(averages=[1]),
    "an average without weights": _saved(averages={"part": {"updates": 1}}),
    "an average of too many updates": _saved(averages={"part": {"updates": 10**30, "weights": {}}}),
    "an average without its weights": _saved(averages={"part": {"updates": 1, "weights": {}}}),
    "an average of single numbers": _saved(
        averages={"part": {"updates": 1, "weights": {"weight": torch.ones(1), "bias": torch.ones(1)}}}
    ),
    "an average of less than no updates": _saved(averages={"part": {"updates": -1, "weights": {}}}),
    "no average": _saved(averages={}),
    "an average of other shapes": _saved(averages={"part": {"updates": 1, "weights": {"weight": torch.zeros(5)}}}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_state_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    DAMAGE[kind](path)
    with pytest.raises(TrainingError, match="cannot continue from the state") as caught:
        _run_state().load(path)
    assert caught.value.expected and caught.value.remedy and len(str(caught.value)) < 600


def test_a_complete_state_is_loaded(tmp_path: Path) -> None:
    saved, path = _run_state(), tmp_path / "state.pt"
    torch.save(_content(saved), path)
    loaded = _run_state()
    assert loaded.load(path) == 7
    assert torch.equal(loaded.parts[0].weight, saved.parts[0].weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"\xff\xfe{}\n", b'{"step": 1}\n\x88\n'])
def test_a_log_that_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="not UTF-8 text"):
        truncate_log(path, 1)
    assert path.read_bytes() == content
