"""From every picture's scores to the tables: means with confidence intervals, and which methods differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from ..errors import SettingsError
from .dataset import Finding
from .metrics import METRICS, SETS
from .runner import Judged
from .scores import VALUES, Row
from .statistics import Interval, bootstrap, difference, estimate, holm, paired_p, person_means


@dataclass(frozen=True)
class MethodSummary:
    """A row of the table.

    Attributes:
        name: of the method.
        pictures, people: that were judged.
        means: metric of single pictures -> mean with its interval.
        sets: metric of all pictures -> value.
        seconds: for each face; None where nobody said.
    """

    name: str
    pictures: int
    people: int
    means: Mapping[str, Interval]
    sets: Mapping[str, float]
    seconds: float | None = None


@dataclass(frozen=True)
class Comparison:
    """A method against the baseline, over the pictures that both have.

    Attributes:
        method, baseline: names.
        metric: one of `METRICS`.
        difference: of the means over pictures, method minus baseline, with its interval.
        share: of the people for whom the method's value is above the baseline's.
        error: standard error of the mean of the people's differences.
        p: of Wilcoxon's signed-rank test over people; NaN where there is none.
        p_holm: adjusted for all comparisons of the report.
    """

    method: str
    baseline: str
    metric: str
    difference: Interval
    share: float
    error: float
    p: float
    p_holm: float

    @property
    def better(self) -> bool | None:
        """Whether the method is better, by the adjusted test at 5%; None where that does not show."""
        if math.isnan(self.p_holm) or self.p_holm >= 0.05:
            return None
        return self.difference.mean * METRICS[self.metric].better > 0


@dataclass(frozen=True)
class Summary:
    """What a report shows.

    Attributes:
        methods: in the order that they were named in.
        comparisons: of every other method with the baseline.
        absent: metric -> why it is not there.
        findings: what the report must name.
        judges: "ids", "ids_second" -> the recognizer's name.
        measures: the same -> how it measures similarity.
    """

    methods: Sequence[MethodSummary]
    comparisons: Sequence[Comparison]
    absent: Mapping[str, str]
    findings: Sequence[Finding]
    judges: Mapping[str, str]
    measures: Mapping[str, str]

    @property
    def metrics(self) -> list[str]:
        """The metrics that any method has, in the order of the columns."""
        return [m for m in METRICS if any(m in method.means or m in method.sets for method in self.methods)]

    @property
    def to_mend(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.mend]

    def as_json(self) -> dict[str, Any]:
        """The same as data; numbers that JSON does not have become None."""
        return _without_nan(asdict(self))


def summarize(
    judged: Judged,
    *,
    findings: Sequence[Finding] = (),
    absent: Mapping[str, str] | None = None,
    seconds: Mapping[str, float] | None = None,
    judges: Mapping[str, str] | None = None,
    measures: Mapping[str, str] | None = None,
    baseline: str = "",
) -> Summary:
    """Means, intervals and comparisons.

    Args:
        judged: the scores.
        findings: of earlier steps, to name too.
        absent: metric -> why it is not there.
        seconds: method -> seconds for each face.
        judges, measures: see `Summary`.
        baseline: method that the others are compared with; "" for the first.

    Raises:
        SettingsError: no method has the baseline's name.
        MissingPackageError: scipy is not installed.
    """
    names = list(judged.rows)
    baseline = require_baseline(names, baseline)
    methods = [_method(name, judged.rows[name], judged.sets[name], (seconds or {}).get(name)) for name in names]
    unadjusted = [
        comparison
        for name in names
        for metric in VALUES
        if name != baseline
        and (comparison := _compare(name, judged.rows[name], baseline, judged.rows[baseline], metric=metric))
    ]
    adjusted = holm([comparison.p for comparison in unadjusted])
    comparisons = [replace(comparison, p_holm=p) for comparison, p in zip(unadjusted, adjusted, strict=True)]
    return Summary(methods, comparisons, absent or {}, [*findings, *judged.findings], judges or {}, measures or {})


def require_baseline(names: Sequence[str], baseline: str) -> str:
    """The method that the others are compared with; errors as `summarize`."""
    if baseline and baseline not in names:
        raise SettingsError(
            f"There is no method {baseline} to compare with.",
            expected="one of " + ", ".join(names),
            remedy="correct --baseline",
        )
    return baseline or names[0]


def _method(name: str, rows: Sequence[Row], sets: Mapping[str, float], seconds: float | None) -> MethodSummary:
    means = {
        metric: bootstrap([row.values[metric] for row in known], [row.person for row in known])
        for metric in VALUES
        if (known := [row for row in rows if metric in row.values])
    }
    return MethodSummary(name, len(rows), len({row.person for row in rows}), means, sets, seconds)


def _compare(
    name: str, rows: Sequence[Row], baseline: str, baseline_rows: Sequence[Row], *, metric: str
) -> Comparison | None:
    baseline_values = {row.image: row.values[metric] for row in baseline_rows if metric in row.values}
    shared_rows = [row for row in rows if metric in row.values and row.image in baseline_values]
    # The truth given as a method has an infinite PSNR, from which nothing differs by a number.
    pairs = [(row.person, row.values[metric], baseline_values[row.image]) for row in shared_rows]
    pairs = [(who, a, b) for who, a, b in pairs if math.isfinite(a) and math.isfinite(b)]
    if not pairs:
        return None
    people = [who for who, _, _ in pairs]
    differences = [a - b for _, a, b in pairs]
    over_people = difference(person_means(differences, people).tolist(), [0.0] * len(set(people)))
    p = paired_p(person_means(differences, people))
    interval = bootstrap(differences, people)
    return Comparison(name, baseline, metric, interval, over_people.share, over_people.error, p, p)


def columns(summary: Summary) -> list[str]:
    """The metrics of a table's columns: those that are there, and those that were wanted."""
    there = set(summary.metrics) | set(summary.absent)
    return [metric for metric in METRICS if metric in there]


def value_of(method: MethodSummary, metric: str) -> float | None:
    """A method's mean, or its value of a whole set."""
    if metric in SETS:
        return method.sets.get(metric)
    return method.means[metric].mean if metric in method.means else None


def best(summary: Summary, metric: str) -> float | None:
    """The best value that a method has, where there are several methods."""
    values = [value for method in summary.methods if (value := value_of(method, metric)) is not None]
    if len(values) < 2:
        return None
    return max(values) if METRICS[metric].better > 0 else min(values)


def mean_seconds(seconds: Sequence[float]) -> float | None:
    """Mean of the times for each face; None of none.

    Raises:
        SettingsError: a time that is negative or not finite.
    """
    wrong = [value for value in seconds if not (math.isfinite(value) and value >= 0.0)]
    if wrong:
        raise SettingsError(
            f"{wrong[0]} is no time in seconds ({len(wrong)} of {len(seconds)} times are none).",
            expected="finite numbers from 0",
            remedy="correct the times, or leave them out",
        )
    return estimate(list(seconds)).mean if seconds else None


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
