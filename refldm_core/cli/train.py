"""The work of `refldm train`. Its options are in `arguments/train.py`."""

from __future__ import annotations

import argparse
import math
import os
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ..face.errors import MissingPackageError
from ..training.config_file import read_spec
from .memory import CLOSE_PROGRAMS, Stage, explained_memory_errors
from .output import Output

if TYPE_CHECKING:
    from ..training.loop import Progress
    from ..training.spec import TrainSpec
    from ..training.task import Task


def run(args: argparse.Namespace, output: Output) -> int:
    changes = [*args.set, *([f"output={args.output}"] if args.output else [])]
    spec = read_spec(args.config, changes)
    try:
        from ..training.loop import train  # noqa: PLC0415 (imports accelerate)
    except ImportError as error:
        raise MissingPackageError(
            f"The package {error.name} is not installed.",
            expected="the packages of the training",
            remedy='run `pip install -e ".[train]"` in the folder of the project',
        ) from error
    first_process = int(os.environ.get("RANK", "0")) == 0
    output.remark(f"Training {spec.task} into {spec.output}.")
    bar = Output(quiet=output.quiet or not first_process).bar("training", spec.run.steps, unit="step")
    with bar:

        def on_step(progress: Progress) -> None:
            bar.set_postfix_str(f"loss {progress.loss:.4f}", refresh=False)
            bar.update(progress.step - bar.n)

        with explained_memory_errors(_TRAINING):
            result = train(spec, lambda: make_task(spec), on_step)
    if first_process:
        trained = math.isfinite(result.loss)
        loss = f"last loss {result.loss:.4f}" if trained else "which an earlier run has done"
        output.result(
            f"{result.step} steps, {loss}: {', '.join(map(str, result.files))}",
            {
                "folder": str(result.folder),
                "step": result.step,
                "loss": result.loss if trained else None,
                "files": [str(file) for file in result.files],
            },
        )
    return 0


_TRAINING = Stage(
    "train",
    [
        "a larger run.accumulate, which splits each batch",
        "run.checkpoint_activations: true",
        "run.precision: bfloat16",
        "a smaller run.batch",
        CLOSE_PROGRAMS,
    ],
)

_TASKS = {
    "first_stage": ("first_stage", "FirstStageTask"),
    "ldm": ("restoration", "RestorationTask"),
    "refldm": ("restoration", "RestorationTask"),
    "recognizer": ("recognizer", "RecognizerTask"),
    "detector": ("detector", "DetectorTask"),
}
"""Task of a config -> module and class."""


def make_task(spec: TrainSpec) -> Task:
    """Return the task that a config names. Only the module of that task is imported."""
    module, name = _TASKS[spec.task]
    return cast("Task", getattr(import_module(f"..training.{module}", __package__), name)(spec))
