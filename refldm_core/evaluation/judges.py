"""The metrics and recognizers of one evaluation, and what happens where a metric has no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .dataset import Finding, Target
from .identity import IdentityJudge
from .learned import PairMetric, SetMetric
from .metric_list import LIKENESS, METRICS
from .metrics import psnr, ssim
from .packages import require

METRIC_ERRORS = (RuntimeError, ValueError, AssertionError)
"""What pyiqa raises for pictures that it cannot judge, such as too small ones; it has no errors of its own."""

_FIDELITY: dict[str, PairMetric] = {"psnr": psnr, "ssim": ssim}


@dataclass(frozen=True)
class Judges:
    """The metrics that an evaluation computes.

    Attributes:
        recognizers: "ids", "ids_second" or both -> judge of identity.
        pairs: Metric of a prediction and its true picture -> function that computes it.
        sets: Metric of all pictures -> function that computes it.
        absent: Metric that was requested and is not available -> reason.
    """

    recognizers: Mapping[str, IdentityJudge] = field(default_factory=dict[str, IdentityJudge])
    pairs: Mapping[str, PairMetric] = field(default_factory=dict[str, PairMetric])
    sets: Mapping[str, SetMetric] = field(default_factory=dict[str, SetMetric])
    absent: Mapping[str, str] = field(default_factory=dict[str, str])

    def metrics_of(self, target: Target) -> set[str]:
        """Return the metrics that each prediction of this target gets."""
        likeness = {LIKENESS[name] for name in self.recognizers} if target.references else set[str]()
        return {*self.recognizers, *self.pairs, *likeness}


def fidelity_metrics(names: Iterable[str]) -> dict[str, PairMetric]:
    """Return the functions of PSNR and SSIM by name.

    Raises:
        MissingPackageError: torchmetrics is not installed.
    """
    metrics = {name: _FIDELITY[name] for name in names}
    if metrics:
        require("torchmetrics.functional.image")
    return metrics


def no_value(metric: str, picture: str, method: str, reason: str) -> Finding:
    """Return the finding that a metric has no value for a picture; of the reason only the first line."""
    detail = f"{METRICS[metric].label} has no value ({reason.strip().partition(chr(10))[0]})"
    return Finding("no value", picture, detail, method, mend=False)
