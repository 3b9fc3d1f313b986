"""Means over people, their standard errors and confidence intervals, and tests of paired differences.

Pictures of one person are not independent. The bootstrap therefore draws people, and the tests count people.
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
"""One value for each person, always in the same order; None where a person has no value."""


@dataclass(frozen=True)
class Estimate:
    """A mean over people.

    Attributes:
        mean: Mean of the values; NaN where nobody has a value.
        error: Standard error of the mean; NaN for fewer than two people.
        count: Number of people who have a value.
    """

    mean: float
    error: float
    count: int

    @property
    def errors_from_zero(self) -> float:
        """The mean divided by its standard error; infinite, with the mean's sign, where all values are equal."""
        if self.error == 0.0:
            return math.copysign(math.inf, self.mean) if self.mean else 0.0
        return self.mean / self.error


@dataclass(frozen=True)
class Difference(Estimate):
    """A mean of paired differences.

    Attributes:
        share: Share of the people whose difference is above 0, from 0 to 1; NaN for no people.
    """

    share: float


def estimate(values: Values) -> Estimate:
    """Return the mean of the values that are not None, and its standard error.

    The standard error is the sample standard deviation divided by the square root of the count.
    """
    numbers = np.array([value for value in values if value is not None], dtype=np.float64)
    count = len(numbers)
    error = float(numbers.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return Estimate(float(numbers.mean()) if count else math.nan, error, count)


def difference(first: Values, second: Values) -> Difference:
    """Return the mean of first minus second, person by person, over the people who have both values.

    People differ more from each other than two restorations of one person do. Paired differences therefore tell a
    smaller effect from chance than the two means with their separate errors.
    """
    pairs = zip(first, second, strict=True)
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    mean = estimate(differences)
    share = sum(value > 0 for value in differences) / mean.count if mean.count else math.nan
    return Difference(mean.mean, mean.error, mean.count, share)


@dataclass(frozen=True)
class Interval:
    """A mean over pictures with its confidence interval from the bootstrap over people.

    Attributes:
        mean: Mean over pictures, as in the paper's tables.
        low, high: Ends of the interval; NaN with fewer than two people, or where the mean is not finite.
        pictures, people: Numbers of pictures and people that the mean comes from.
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
    """Return the mean over pictures with the percentile interval of a bootstrap (Davison and Hinkley 1997, 2.4).

    The bootstrap draws people. A person is drawn with all pictures of that person.

    Args:
        values: A value for each picture; at least one.
        people: The person whom each picture shows.
        resamples: Number of bootstrap samples.
        level: Confidence level, 0 to 1.
        seed: Seed of the random numbers.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    sums, counts = _by_person(values, people)
    mean = float(sums.sum() / counts.sum())
    low = high = math.nan
    if len(sums) > 1 and math.isfinite(mean):
        result = require("scipy.stats").bootstrap(
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
        low, high = (float(end) for end in result.confidence_interval)
    return Interval(mean, low, high, len(values), len(sums))


def person_means(values: Sequence[float], people: Sequence[str]) -> NDArray[np.float64]:
    """Return the mean of each person's pictures, in the order of the people's names."""
    sums, counts = _by_person(values, people)
    return sums / counts


def paired_p(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test that the differences are symmetric around 0.

    Args:
        differences: A difference for each person. NaN does not count.

    Returns:
        A number from 0 to 1; NaN for fewer than two people, and 1 where all differences are 0.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    numbers = np.asarray(differences, dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) < 2:
        return math.nan
    if not numbers.any():
        return 1.0
    return float(require("scipy.stats").wilcoxon(numbers).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm 1979), in the same order.

    NaN stays NaN, and does not count.
    """
    ascending = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    adjusted = list(p_values)
    highest = 0.0
    for remaining, (p, i) in zip(range(len(ascending), 0, -1), ascending, strict=True):
        highest = max(highest, min(1.0, p * remaining))
        adjusted[i] = highest
    return adjusted


def _by_person(values: Sequence[float], people: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum and the number of each person's values, in the order of the people's names."""
    _, person = np.unique(np.asarray(people), return_inverse=True)
    sums = np.bincount(person, weights=np.asarray(values, dtype=np.float64))
    return np.asarray(sums, dtype=np.float64), np.asarray(np.bincount(person), dtype=np.float64)


def _pooled_mean(sums: Any, counts: Any, axis: int) -> Any:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
