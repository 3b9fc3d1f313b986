"""Summarize the scores of all pictures: means with confidence intervals, and comparisons of methods."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from ..errors import SettingsError
from .dataset import Finding
from .metric_list import METRICS, SETS
from .runner import Judged
from .scores import VALUES, Row
from .statistics import Interval, bootstrap, difference, estimate, holm, paired_p, person_means


@dataclass(frozen=True)
class MethodSummary:
    """The results of one method: a row of the table.

    Attributes:
        name: Name of the method.
        pictures, people: Numbers of pictures and people that were judged.
        means: Metric of single pictures -> mean with its interval.
        sets: Metric of all pictures -> value.
        seconds: Seconds for each face; None where they are unknown.
    """

    name: str
    pictures: int
    people: int
    means: Mapping[str, Interval]
    sets: Mapping[str, float]
    seconds: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The comparison of a method with the baseline, over the pictures that both methods have.

    Attributes:
        method, baseline: Names of the two methods.
        metric: Name from `METRICS`.
        difference: Difference of the means over pictures, method minus baseline, with its interval.
        share: Share of the people for whom the method has the higher value, 0 to 1.
        error: Standard error of the mean of the people's differences.
        p: P-value of Wilcoxon's signed-rank test over people; NaN for fewer than two people.
        p_holm: P-value adjusted for all comparisons of the report.
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
        """Whether the method is better, by the adjusted test at 5%; None where the test shows no difference."""
        if math.isnan(self.p_holm) or self.p_holm >= 0.05:
            return None
        return self.difference.mean * METRICS[self.metric].better > 0


@dataclass(frozen=True)
class Summary:
    """The contents of a report.

    Attributes:
        methods: Results of the methods, in the order in which the user named them.
        comparisons: Comparisons of all other methods with the baseline.
        absent: Metric that is not available -> reason.
        findings: Everything about the files that the report names.
        judges: "ids", "ids_second" -> name of the recognizer.
        measures: "ids", "ids_second" -> description of the recognizer's measure of similarity.
    """

    methods: Sequence[MethodSummary]
    comparisons: Sequence[Comparison]
    absent: Mapping[str, str]
    findings: Sequence[Finding]
    judges: Mapping[str, str]
    measures: Mapping[str, str]

    @property
    def metrics(self) -> list[str]:
        """The metrics that at least one method has, in the order of the columns."""
        return [
            metric
            for metric in METRICS
            if any(metric in method.means or metric in method.sets for method in self.methods)
        ]

    @property
    def to_mend(self) -> list[Finding]:
        """The findings that the user must correct."""
        return [finding for finding in self.findings if finding.mend]

    def as_json(self) -> dict[str, Any]:
        """Return the summary as data. Numbers that JSON does not have become None."""
        return _finite_or_none(asdict(self))


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
    """Compute means, intervals and comparisons.

    Args:
        judged: Scores of all methods.
        findings: Findings of earlier steps. Those of `judged` follow them in the summary.
        absent, judges, measures: See `Summary`.
        seconds: Method -> seconds for each face.
        baseline: Method that all other methods are compared with; "" for the first.

    Raises:
        SettingsError: No method has the baseline's name.
        MissingPackageError: scipy is not installed.
    """
    names = list(judged.rows)
    baseline = require_baseline(names, baseline)
    methods = [
        _summarize_method(name, judged.rows[name], judged.sets[name], (seconds or {}).get(name)) for name in names
    ]
    comparisons = _compare_with_baseline(judged.rows, baseline)
    return Summary(methods, comparisons, absent or {}, [*findings, *judged.findings], judges or {}, measures or {})


def require_baseline(names: Sequence[str], baseline: str) -> str:
    """Return the method that all other methods are compared with.

    Raises:
        SettingsError: No method has the baseline's name.
    """
    if baseline and baseline not in names:
        raise SettingsError(
            f"There is no method {baseline} to compare with.",
            expected="one of " + ", ".join(names),
            remedy="correct --baseline",
        )
    return baseline or names[0]


def _summarize_method(
    name: str, rows: Sequence[Row], sets: Mapping[str, float], seconds: float | None
) -> MethodSummary:
    means: dict[str, Interval] = {}
    for metric in VALUES:
        scored = [row for row in rows if metric in row.values]
        if scored:
            means[metric] = bootstrap([row.values[metric] for row in scored], [row.person for row in scored])
    return MethodSummary(name, len(rows), len({row.person for row in rows}), means, sets, seconds)


def _compare_with_baseline(rows: Mapping[str, Sequence[Row]], baseline: str) -> list[Comparison]:
    """Compare every other method with the baseline, and adjust the p-values for the number of comparisons."""
    candidates = [
        _compare(method, method_rows, baseline, rows[baseline], metric=metric)
        for method, method_rows in rows.items()
        if method != baseline
        for metric in VALUES
    ]
    comparisons = [comparison for comparison in candidates if comparison is not None]
    adjusted = holm([comparison.p for comparison in comparisons])
    return [replace(comparison, p_holm=p) for comparison, p in zip(comparisons, adjusted, strict=True)]


def _compare(
    name: str, rows: Sequence[Row], baseline: str, baseline_rows: Sequence[Row], *, metric: str
) -> Comparison | None:
    """Compare one metric of two methods; None where they share no picture with a finite value."""
    baseline_values = {row.image: row.values[metric] for row in baseline_rows if metric in row.values}
    people: list[str] = []
    differences: list[float] = []
    for row in rows:
        if metric in row.values and row.image in baseline_values:
            value, baseline_value = row.values[metric], baseline_values[row.image]
            # PSNR is infinite where a prediction equals the truth. Then there is no difference to compute.
            if math.isfinite(value) and math.isfinite(baseline_value):
                people.append(row.person)
                differences.append(value - baseline_value)
    if not people:
        return None
    of_people = person_means(differences, people)
    over_people = difference(of_people.tolist(), [0.0] * len(of_people))
    p = paired_p(of_people)
    interval = bootstrap(differences, people)
    return Comparison(name, baseline, metric, interval, over_people.share, over_people.error, p, p)


def columns(summary: Summary) -> list[str]:
    """Return the metrics of a table's columns: those with values, and those that are not available."""
    requested = set(summary.metrics) | set(summary.absent)
    return [metric for metric in METRICS if metric in requested]


def value_of(method: MethodSummary, metric: str) -> float | None:
    """Return a method's mean of a metric, or its value of a metric of whole sets; None where there is none."""
    if metric in SETS:
        return method.sets.get(metric)
    return method.means[metric].mean if metric in method.means else None


def best_value(summary: Summary, metric: str) -> float | None:
    """Return the best value of all methods; None where fewer than two methods have a value."""
    values = [value for method in summary.methods if (value := value_of(method, metric)) is not None]
    if len(values) < 2:
        return None
    return max(values) if METRICS[metric].better > 0 else min(values)


def mean_seconds(seconds: Sequence[float]) -> float | None:
    """Return the mean of the times for each face; None where there are no times.

    Raises:
        SettingsError: A time is negative or not finite.
    """
    invalid = [value for value in seconds if not (math.isfinite(value) and value >= 0.0)]
    if invalid:
        raise SettingsError(
            f"{invalid[0]} is no time in seconds ({len(invalid)} of {len(seconds)} times are none).",
            expected="finite numbers from 0",
            remedy="correct the times, or leave them out",
        )
    return estimate(list(seconds)).mean if seconds else None


def _finite_or_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite_or_none(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite_or_none(inner) for inner in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
