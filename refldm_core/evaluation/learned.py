"""Metrics that need trained weights: LPIPS, NIQE, MUSIQ and FID through pyiqa, which downloads them when first used.

Weights that cannot be had are no error of the evaluation: the metric is then absent, with the reason.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..face.errors import MissingPackageError
from ..out_of_memory import is_out_of_memory
from .metrics import LEARNED, SETS, Picture, to_unit
from .packages import require

PairMetric = Callable[[Picture, Picture], float]
"""Prediction and truth of one size -> value."""
SetMetric = Callable[[Sequence[Path], Sequence[Path]], float]
"""All predictions and all truths, two or more -> value."""

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Learned:
    """The metrics that could be opened.

    Attributes:
        pairs: metric -> function of one picture.
        sets: metric -> function of all pictures.
        absent: metric -> why it is not there.
    """

    pairs: Mapping[str, PairMetric]
    sets: Mapping[str, SetMetric]
    absent: Mapping[str, str]


def open_learned(wanted: Iterable[str], device: torch.device | str = "cpu") -> Learned:
    """Open metrics by their names in `METRICS`; those of another kind are left out. What fails is in `absent`."""
    names = list(wanted)
    absent: dict[str, str] = {}
    pairs = _open_each(LEARNED, names, lambda name: open_pair_metric(name, device), absent)
    sets = _open_each(SETS, names, lambda name: open_set_metric(name, device), absent)
    return Learned(pairs, sets, absent)


def open_pair_metric(name: str, device: torch.device | str = "cpu") -> PairMetric:
    """Pyiqa's metric of that name, from two pictures or from the first alone, as it is defined.

    Raises:
        MissingPackageError: pyiqa is not installed.
        OSError, RuntimeError: pyiqa cannot get the weights, or cannot read them.
    """
    metric = _create(name, device)

    def judge(prediction: Picture, truth: Picture) -> float:
        pictures = [to_unit(prediction)] if metric.metric_mode == "NR" else [to_unit(prediction), to_unit(truth)]
        with _quiet_stdout():
            return float(metric(*pictures))

    return judge


def open_set_metric(name: str, device: torch.device | str = "cpu") -> SetMetric:
    """Pyiqa's metric of two folders; errors as `open_pair_metric`."""
    metric = _create(name, device)

    def judge(predictions: Sequence[Path], truths: Sequence[Path]) -> float:
        # Windows deletes no file that pyiqa still has open; the result matters more.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _quiet_stdout():
            first = _gather(predictions, Path(folder) / "predictions")
            second = _gather(truths, Path(folder) / "truths")
            return float(metric(str(first), str(second), verbose=False, num_workers=0))

    return judge


def _open_each(
    known: Sequence[str], wanted: Sequence[str], make: Callable[[str], _Made], absent: dict[str, str]
) -> dict[str, _Made]:
    opened: dict[str, _Made] = {}
    for name in known:
        if name not in wanted:
            continue
        try:
            opened[name] = make(name)
        except MissingPackageError as error:
            absent[name] = f"{error.problem} {error.remedy}"
        except (OSError, RuntimeError) as error:  # no network, no room, a broken file: urllib's and torch's errors
            if is_out_of_memory(error):
                raise
            absent[name] = f"pyiqa could not get its weights ({str(error).splitlines()[0]})"
    return opened


def _create(name: str, device: torch.device | str) -> Any:
    pyiqa = require("pyiqa")
    with _quiet_stdout(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchvision's, about how pyiqa calls it
        return pyiqa.create_metric(name, device=torch.device(device))


def _gather(paths: Sequence[Path], folder: Path) -> Path:
    """A folder with just these pictures, as pyiqa wants it."""
    folder.mkdir()
    for number, path in enumerate(paths):
        inside = folder / f"{number:07d}{path.suffix}"
        try:
            inside.symlink_to(path.resolve())
        except OSError:  # Windows without the right to make links
            shutil.copyfile(path, inside)
    return folder


@contextmanager
def _quiet_stdout() -> Generator[None, None, None]:
    """Pyiqa reports downloads on standard output, where a command's --json result goes."""
    with redirect_stdout(sys.stderr):
        yield
