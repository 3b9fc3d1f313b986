"""Judge every prediction of every method. Known scores are reused, and a file that cannot be used stops nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..out_of_memory import is_out_of_memory
from .dataset import Finding, Target, match_predictions
from .duplicates import find_duplicates, without_duplicates
from .judges import METRIC_ERRORS, Judges, no_value
from .learned import SetMetric
from .scores import Row, Scores
from .target_judge import TargetJudge


@dataclass(frozen=True)
class Judged:
    """The results of an evaluation.

    Attributes:
        rows: Method -> its rows in the order of the targets, without duplicates and without unusable pictures.
        sets: Method -> metric of all its pictures -> value.
        files: Method -> name of the target -> file of the prediction.
        findings: Everything about the files that the report names.
    """

    rows: Mapping[str, Sequence[Row]]
    sets: Mapping[str, Mapping[str, float]]
    files: Mapping[str, Mapping[str, Path]]
    findings: Sequence[Finding]


ShowProgress = Callable[[Sequence[Target]], Iterable[Target]]
"""Passes the targets through unchanged, as a progress bar does."""


def judge_all(
    targets: Sequence[Target],
    methods: Mapping[str, Path],
    judges: Judges,
    scores: Scores,
    *,
    other_pictures: Collection[str] = (),
    known_sets: Mapping[str, float] | None = None,
    show_progress: ShowProgress = iter,
) -> Judged:
    """Judge the predictions that `scores` lacks, and those whose files have changed since.

    Args:
        targets: True pictures to judge against.
        methods: Name of the method -> folder of its predictions.
        judges: Metrics to compute.
        scores: Scores of an earlier run. They receive the new rows, and are written at the end, also of an
            interrupted run.
        other_pictures: See `match_predictions`.
        known_sets: Values of metrics of whole sets from an earlier run, by `set_key`.
        show_progress: Shows how many targets are judged.

    Raises:
        DataError: A folder of predictions does not exist.
        OutputError: The scores cannot be written.
    """
    files: dict[str, Mapping[str, Path]] = {}
    unmatched: list[Finding] = []
    for method, folder in methods.items():
        files[method], findings = match_predictions(method, folder, targets, other_pictures)
        unmatched += findings
    judge = TargetJudge(judges, scores)
    try:
        for target in show_progress(targets):
            predictions = {method: paths[target.name] for method, paths in files.items() if target.name in paths}
            judge.judge(target, predictions)
    finally:
        scores.write()
    all_rows = {method: judge.rows[method] for method in methods}
    duplicates = find_duplicates(all_rows)
    rows = without_duplicates(all_rows, duplicates)
    true_pictures = {target.name: target.path for target in targets}
    sets: dict[str, dict[str, float]] = {}
    without_value: list[Finding] = []
    for method, method_rows in rows.items():
        pairs = [(files[method][row.image], true_pictures[row.image]) for row in method_rows]
        sets[method], findings = _judge_set(method, method_rows, pairs, judges.sets, known_sets or {})
        without_value += findings
    findings = [*unmatched, *judge.findings, *duplicates, *without_value]
    return Judged(rows, sets, files, list(dict.fromkeys(findings)))


def set_key(metric: str, rows: Sequence[Row]) -> str:
    """Return a key of a metric and the files that it is computed from, whatever their order."""
    lines = sorted(f"{row.prediction_sha256} {row.truth_sha256}" for row in rows)
    return f"{metric} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def _judge_set(
    method: str,
    rows: Sequence[Row],
    pairs: Sequence[tuple[Path, Path]],
    metrics: Mapping[str, SetMetric],
    known_sets: Mapping[str, float],
) -> tuple[dict[str, float], list[Finding]]:
    """Compute the metrics of all pictures of a method.

    Args:
        method: Name of the method.
        rows: Its rows.
        pairs: Prediction and true picture of each row.
        metrics: Name -> function that computes the metric.
        known_sets: See `judge_all`.

    Returns:
        Metric -> value, and a finding for each metric without a value.
    """
    values: dict[str, float] = {}
    findings: list[Finding] = []
    if len(rows) < 2:  # One picture has no covariance.
        return values, findings
    predictions, truths = [prediction for prediction, _ in pairs], [truth for _, truth in pairs]
    for name, metric in metrics.items():
        key = set_key(name, rows)
        if key in known_sets:
            values[name] = known_sets[key]
            continue
        try:
            values[name] = metric(predictions, truths)
        except METRIC_ERRORS as error:
            if is_out_of_memory(error):
                raise
            findings.append(no_value(name, "all pictures", method, str(error)))
    return values, findings
