"""Means, differences between paired values, and their standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
