"""The files from which an interrupted run continues: state.pt, config.yaml and log.jsonl."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from ..checkpoints.pickles import check_zip
from ..checkpoints.saving import save_pickled
from ..errors import CheckpointError, OutOfRangeError, ReFLDMError
from ..files import atomic_write, require_regular
from ..out_of_memory import is_out_of_memory
from ..ranges import Range
from .config_file import read_spec
from .ema import MovingAverage
from .spec import TrainSpec
from .task import TrainingError

STATE = "state.pt"
CONFIG = "config.yaml"
LOG = "log.jsonl"

_MAY_CHANGE = {
    "output",
    *(f"run.{name}" for name in ("steps", "save_every", "sample_every", "workers", "cpu", "compile")),
}
"""Values of the config that may change when a run is continued. They do not change the result of a step."""

_STEPS = Range(0, 10**12, whole=True)

_DAMAGED = (
    *(CheckpointError, OutOfRangeError, pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, LookupError),
    *(ValueError, TypeError, AssertionError, AttributeError, ArithmeticError, EOFError, OSError, StopIteration),
)
"""Errors that reading a damaged state raises."""


@dataclass(frozen=True, eq=False)
class RunState:
    """Everything of a run that changes with its steps.

    Attributes:
        parts: the trained modules.
        optimizers: one for each part.
        averages: moving averages of the parts, by part.
        scaler: the gradient scaler of float16 training; None without one.
    """

    parts: Sequence[nn.Module]
    optimizers: Sequence[torch.optim.Optimizer]
    averages: Mapping[str, MovingAverage]
    scaler: torch.amp.GradScaler | None  # pyright: ignore[reportPrivateImportUsage]

    def save(self, path: Path, step: int) -> None:
        """Write the state after `step` steps.

        Raises:
            OutputError: the file cannot be written.
        """
        content = {
            "step": step,
            "parts": [part.state_dict() for part in self.parts],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "scaler": self.scaler.state_dict() if self.scaler else {},
        }
        save_pickled(content, path)

    def load(self, path: Path) -> int:
        """Read a state into the parts, optimizers, averages and scaler.

        Returns:
            Number of steps done.

        Raises:
            TrainingError: the state is damaged or belongs to another model.
        """
        try:
            check_zip(require_regular(path))
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(state, dict):
                raise TypeError(f"it holds a {type(state).__name__}")
            step = int(_STEPS.number("step", state["step"]))
            for part, values in zip(self.parts, state["parts"], strict=True):
                part.load_state_dict(values)
            for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(values)
            if set(state["averages"]) != set(self.averages):
                raise ValueError("it has the averages of other parts")
            for name, values in state["averages"].items():
                self.averages[name].load_state_dict(values)
            if self.scaler and state["scaler"]:
                self.scaler.load_state_dict(state["scaler"])
        except _DAMAGED as error:
            if is_out_of_memory(error):
                raise
            reason = error.problem if isinstance(error, ReFLDMError) else str(error) or type(error).__name__
            raise TrainingError(
                f"The run cannot continue from the state {path} ({reason.splitlines()[0][:200]}).",
                expected="a complete state that a run of this config wrote",
                remedy="choose another output folder, or remove this one to start again",
            ) from error
        return step


def require_same_config(config: Path, spec: TrainSpec) -> None:
    """Check that a config equals the one that the state was written with.

    Where the earlier file lacks a value, its default counts.

    Raises:
        TrainingError: a value differs that may not change.
    """
    if not config.exists():
        return
    earlier, current = dict(_flat(asdict(read_spec(config)))), dict(_flat(asdict(spec)))
    names = [name for name in current if name not in _MAY_CHANGE and earlier[name] != current[name]]
    changes = [f"{name}: {earlier[name]} -> {current[name]}" for name in names]
    if changes:
        raise TrainingError(
            f"{config.parent} holds a run of another config ({'; '.join(changes[:3])}).",
            expected="the same config, to continue the run",
            remedy="choose another output folder, or remove this one to start again",
        )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested mappings with its dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(cast(Mapping[str, Any], value), f"{prefix}{name}.")
        else:
            yield prefix + name, value


def truncate_log(path: Path, step: int) -> None:
    """Remove the lines of the log after the first `step` steps, which the continued run writes again.

    Raises:
        TrainingError: the log is not UTF-8 text.
    """
    if path.exists():
        try:
            lines = require_regular(path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise TrainingError(
                f"The log {path} is damaged: it is not UTF-8 text.",
                expected="the log that a run of this config wrote",
                remedy="move the log away; the run then begins a new one",
            ) from error
        with atomic_write(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines[:step]), encoding="utf-8")
