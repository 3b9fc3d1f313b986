"""Means over people, their standard errors and confidence intervals, and tests of paired differences.

Pictures of one person are no independent evidence: people are what is drawn again in the bootstrap, and what the
tests count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .packages import require

RESAMPLES = 2000
LEVEL = 0.95
SEED = 2024

Values = Sequence[float | None]
"""One for each person, in the same order everywhere; None where a person has none."""


@dataclass(frozen=True)
class Estimate:
    """A mean over people.

    Attributes:
        mean: NaN where nobody has a value.
        error: its standard error; NaN for fewer than two people.
        count: people with a value.
    """

    mean: float
    error: float
    count: int

    @property
    def errors_from_zero(self) -> float:
        """The mean in standard errors; infinite, with the mean's sign, where all values are the same."""
        if self.error == 0.0:
            return math.copysign(math.inf, self.mean) if self.mean else 0.0
        return self.mean / self.error


@dataclass(frozen=True)
class Difference(Estimate):
    """A mean of paired differences.

    Attributes:
        share: of the people whose difference is above 0.
    """

    share: float


def estimate(values: Values) -> Estimate:
    """Mean and standard error (sample standard deviation over the root of the count) of the values that there are."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    n = len(known)
    error = float(known.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Estimate(float(known.mean()) if n else math.nan, error, n)


def difference(first: Values, second: Values) -> Difference:
    """Mean of first minus second, person by person, over the people who have both.

    People differ more from each other than two restorations of one person do, so that this tells smaller differences
    from chance than two means with their own errors.
    """
    pairs = zip(first, second, strict=True)
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    found = estimate(differences)
    share = sum(d > 0 for d in differences) / found.count if found.count else math.nan
    return Difference(found.mean, found.error, found.count, share)


@dataclass(frozen=True)
class Interval:
    """A mean over pictures, and where the bootstrap over people puts it.

    Attributes:
        mean: over pictures, as in the paper's tables.
        low, high: ends of the interval; NaN with fewer than two people, or where the mean is not finite.
        pictures, people: that it is made of.
    """

    mean: float
    low: float
    high: float
    pictures: int
    people: int


def bootstrap(
    values: Sequence[float],
    people: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Interval:
    """Mean over pictures with the percentile interval of a bootstrap over people (Davison and Hinkley 1997, 2.4).

    Args:
        values: one for each picture, at least one.
        people: who each picture shows; a person is drawn with all of his or her pictures, or not at all.
        resamples: how often.
        level: of confidence, 0 to 1.
        seed: of the drawing.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    sums, counts = _by_person(values, people)
    mean = float(sums.sum() / counts.sum())
    low = high = math.nan
    if len(sums) > 1 and math.isfinite(mean):
        found = require("scipy.stats").bootstrap(
            (sums, counts),
            _pooled_mean,
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=100,  # bounds the memory for many people
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        low, high = (float(end) for end in found.confidence_interval)
    return Interval(mean, low, high, len(values), len(sums))


def person_means(values: Sequence[float], people: Sequence[str]) -> NDArray[np.float64]:
    """The mean of each person's pictures, in the order of the people's names."""
    sums, counts = _by_person(values, people)
    return sums / counts


def paired_p(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test that differences, one for each person, lie around 0.

    NaN for fewer than two people; 1 where nobody differs.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    known = np.asarray(differences, dtype=np.float64)
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return math.nan
    if not known.any():
        return 1.0
    return float(require("scipy.stats").wilcoxon(known).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number (Holm 1979), in the same order; NaN stays and does not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted = list(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = highest
    return adjusted


def _by_person(values: Sequence[float], people: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of each person's values."""
    _, who = np.unique(np.asarray(people), return_inverse=True)
    sums = np.bincount(who, weights=np.asarray(values, dtype=np.float64))
    return np.asarray(sums, dtype=np.float64), np.asarray(np.bincount(who), dtype=np.float64)


def _pooled_mean(sums: Any, counts: Any, axis: int) -> Any:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
