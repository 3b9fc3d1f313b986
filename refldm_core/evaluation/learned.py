"""Metrics that need trained weights: LPIPS, NIQE, MUSIQ and FID from pyiqa.

pyiqa downloads the weights at the first use. Where that fails, the evaluation goes on without the metric and reports
the reason.
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
from .metric_list import LEARNED, SETS
from .metrics import Picture, to_unit
from .packages import require

PairMetric = Callable[[Picture, Picture], float]
"""Prediction and truth of equal size -> value."""
SetMetric = Callable[[Sequence[Path], Sequence[Path]], float]
"""Files of all predictions and of all truths, at least two each -> value."""

MetricFunction = TypeVar("MetricFunction")


@dataclass(frozen=True)
class Learned:
    """The metrics that could be opened.

    Attributes:
        pairs: Metric of single pictures -> function that computes it.
        sets: Metric of all pictures -> function that computes it.
        absent: Metric that could not be opened -> reason.
    """

    pairs: Mapping[str, PairMetric]
    sets: Mapping[str, SetMetric]
    absent: Mapping[str, str]


def open_learned(metrics: Iterable[str], device: torch.device | str = "cpu") -> Learned:
    """Open the learned metrics among `metrics`, which are names from `METRICS`. Failures are listed in `absent`."""
    requested = set(metrics)
    pair_names = [name for name in LEARNED if name in requested]
    set_names = [name for name in SETS if name in requested]
    absent: dict[str, str] = {}
    pairs = _open_metrics(pair_names, lambda name: open_pair_metric(name, device), absent)
    sets = _open_metrics(set_names, lambda name: open_set_metric(name, device), absent)
    return Learned(pairs, sets, absent)


def open_pair_metric(name: str, device: torch.device | str = "cpu") -> PairMetric:
    """Open pyiqa's metric of that name. Metrics without a reference see the prediction only.

    Raises:
        MissingPackageError: pyiqa is not installed.
        OSError, RuntimeError: pyiqa cannot download the weights, or cannot read them.
    """
    metric = _create(name, device)

    def judge(prediction: Picture, truth: Picture) -> float:
        pictures = [to_unit(prediction)] if metric.metric_mode == "NR" else [to_unit(prediction), to_unit(truth)]
        with _quiet_stdout():
            return float(metric(*pictures))

    return judge


def open_set_metric(name: str, device: torch.device | str = "cpu") -> SetMetric:
    """Open pyiqa's metric of two sets of pictures; errors as `open_pair_metric`."""
    metric = _create(name, device)

    def judge(predictions: Sequence[Path], truths: Sequence[Path]) -> float:
        # Windows does not delete a file that pyiqa still has open. That must not cost the result.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _quiet_stdout():
            prediction_folder = _link_into(Path(folder) / "predictions", predictions)
            truth_folder = _link_into(Path(folder) / "truths", truths)
            return float(metric(str(prediction_folder), str(truth_folder), verbose=False, num_workers=0))

    return judge


def _open_metrics(
    names: Iterable[str], open_metric: Callable[[str], MetricFunction], absent: dict[str, str]
) -> dict[str, MetricFunction]:
    """Return the metrics that can be opened. Add the reasons for all other metrics to `absent`."""
    opened: dict[str, MetricFunction] = {}
    for name in names:
        try:
            opened[name] = open_metric(name)
        except MissingPackageError as error:
            absent[name] = f"{error.problem} {error.remedy}"
        except (OSError, RuntimeError) as error:  # from urllib and torch: no network, no space, a broken file
            if is_out_of_memory(error):
                raise
            absent[name] = f"pyiqa could not get its weights ({str(error).splitlines()[0]})"
    return opened


def _create(name: str, device: torch.device | str) -> Any:
    pyiqa = require("pyiqa")
    with _quiet_stdout(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision warns about the way in which pyiqa calls it
        return pyiqa.create_metric(name, device=torch.device(device))


def _link_into(folder: Path, pictures: Sequence[Path]) -> Path:
    """Make a folder that holds only these pictures, as links or copies. pyiqa reads whole folders."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        link = folder / f"{number:07d}{picture.suffix}"
        try:
            link.symlink_to(picture.resolve())
        except OSError:  # Windows without the right to make links
            shutil.copyfile(picture, link)
    return folder


@contextmanager
def _quiet_stdout() -> Generator[None, None, None]:
    """Send what pyiqa prints to standard error, since standard output belongs to the result of the command."""
    with redirect_stdout(sys.stderr):
        yield
