"""Reports of the likeness benchmark: tables and checklist of one model, or a comparison of several models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refldm_core.errors import SettingsError
from refldm_core.evaluation.statistics import Difference, Estimate, difference, estimate

from .cases import REFERENCES
from .protocol import ARMS, ATTRIBUTES, JUDGED, METRICS, OPTIONAL, PHOTOS, QUICK_ARMS, TRUTH
from .scores import Run, require_same

BEST = f"own {REFERENCES}"
WRONG = f"wrong {REFERENCES}"

PAIRS = ((BEST, "none"), ("none", WRONG), (BEST, WRONG), (BEST, "own 1"), (BEST, "LQ"))
"""Pairs of pictures whose differences are in the report."""


@dataclass(frozen=True)
class Requirement:
    """One picture must be better than another.

    Attributes:
        metric: metric that compares the pictures.
        better, worse: names of the pictures.
        margin: smallest mean gain; 0 for any gain above 0.
        errors: smallest gain in standard errors.
    """

    metric: str
    better: str
    worse: str
    margin: float = 0.0
    errors: float = 0.0

    def holds(self, gain: Difference) -> bool:
        """Return whether a gain fulfills the requirement. An infinite gain or error, or none, does not."""
        if not (math.isfinite(gain.mean) and math.isfinite(gain.error)):
            return False
        return gain.mean > 0 and gain.mean >= self.margin and gain.errors_from_zero >= self.errors

    def __str__(self) -> str:
        metric = METRICS[self.metric]
        text = f"{metric.label}: {self.better} {'above' if metric.better > 0 else 'below'} {self.worse}"
        text += f", by {self.margin:g} or more" if self.margin else ""
        return text + (f" and {self.errors:g} standard errors" if self.errors else "")


REQUIRED = (
    *(
        requirement
        for metric in ("ids", "ids_second")
        for requirement in (
            Requirement(metric, BEST, "none", margin=0.05, errors=3),
            Requirement(metric, "none", WRONG, margin=0.05, errors=3),
            Requirement(metric, BEST, "LQ"),
            Requirement(metric, BEST, "own 1"),
        )
    ),
    Requirement("psnr", BEST, "LQ"),
    *(Requirement(metric, BEST, "none") for metric in ATTRIBUTES),
)
"""Requirements for a model that uses references well. A requirement whose metric was not measured fails."""

LEAST_MOLES = 0.5
"""Smallest mean share of a person's moles that are found in a restoration with the most references."""


def gain(run: Run, metric: str, first: str, second: str) -> Difference:
    """Return how much better the first picture is than the second, person by person. Below 0 it is worse."""
    first_values, second_values = run.column(first, metric), run.column(second, metric)
    if METRICS[metric].better < 0:
        return difference(second_values, first_values)
    return difference(first_values, second_values)


def describe(run: Run) -> str:
    """Return the Markdown report of one model."""
    lines = ["# Likeness on unseen rendered people", "", *_conditions(run), "", *_seconds(run)]
    lines += ["", "## What must hold", "", *_checklist(run)]
    lines += ["", "## Means and their standard errors", "", *_means(run)]
    lines += ["", "## Differences, person by person", "", *_differences(run)]
    return "\n".join([*lines, "", *_explanations(run)]) + "\n"


def quick_reading(run: Run) -> str:
    """Return a short Markdown report of the identity, for a run of `QUICK_ARMS`."""
    metrics = [metric for metric in ("ids", "ids_second") if estimate(run.column(BEST, metric)).count]
    rows = [
        [_describe_picture(name), *(_mean(run, name, metric) for metric in metrics)] for name in ("LQ", *QUICK_ARMS)
    ]
    for first, second in PAIRS:
        if {first, second} <= {"LQ", *QUICK_ARMS}:
            cells = [_number(gain(run, metric, first, second), metric, sign=True) for metric in metrics]
            rows.append([f"{first} - {second}", *cells])
    table = _table([f"{len(run.people)} people", *(METRICS[metric].label for metric in metrics)], rows)
    return "\n".join([*_conditions(run), "", *table, "", *_seconds(run)]) + "\n"


def compare(runs: Mapping[str, Run]) -> str:
    """Return the Markdown report of several models. Every model is compared with the first one.

    Raises:
        SettingsError: the runs have different people or settings, or no person in common.
    """
    baseline, *compared = runs
    for name in compared:
        require_same(runs[baseline].about, runs[name].about, other_model=True)
    people = sorted(set[int].intersection(*(set(run.people) for run in runs.values())))
    if not people:
        raise SettingsError(
            "The files have no person in common.",
            expected="scores of the same people",
            remedy="evaluate the same people, or merge all shares of each model first",
        )
    runs = {name: run.of(people) for name, run in runs.items()}
    metrics = _metrics(runs[baseline])
    labels = [METRICS[metric].label for metric in metrics]
    lines = ["# Models side by side, on unseen rendered people", ""]
    lines += [f"- {name}: {_model(run.about['model'])}" for name, run in runs.items()]
    lines += [*_settings(runs[baseline]), ""]
    for arm in runs[baseline].about.get("arms", (BEST, "none")):
        rows = [[name, *(_mean(run, arm, metric) for metric in metrics)] for name, run in runs.items()]
        lines += [f"## Restored with {_describe_picture(arm)}", "", *_table(["model", *labels], rows)]
        rows = []
        for name in compared:
            cells = [f"{name} - {baseline}"]
            for metric in metrics:
                change = difference(runs[name].column(arm, metric), runs[baseline].column(arm, metric))
                cells.append(_number(change, metric, sign=True))
            rows.append(cells)
        lines += ["", *_table(["paired difference", *labels], rows), ""]
    return "\n".join([*lines, *_explanations(runs[baseline])]) + "\n"


def _conditions(run: Run) -> list[str]:
    return [f"- Model: {_model(run.about['model'])}", *_settings(run)]


def _settings(run: Run) -> list[str]:
    about = run.about
    people, sampling = about["people"], about["sampling"]
    first, last = min(run.people, default=people["first"]), max(run.people, default=people["first"])
    complete = len(run.people) == last - first + 1
    recognizers = [
        f"{role}: {recognizer['file']} (SHA-256 {recognizer['sha256'][:16]})"
        for role, recognizer in about["recognizers"].items()
    ]
    return [
        f"- People: {len(run.people)}{'' if complete else ' of those'} with seeds {first} to {last}, "
        f"{about['size']} px (pictures {people['pictures']})",
        f"- Picture 0 is the truth, pictures 1 to {REFERENCES} the references. A person's seed also draws the severe "
        "degradation and the noise, which is the same in every column. The wrong person is the one with the next seed.",
        f"- Sampling: {sampling['sampler']}, {sampling['steps']} steps ({sampling['spacing']}), guidance "
        f"{sampling['guidance']:g}, eta {sampling['eta']:g}; U-Net in {about['dtype']}",
        *(f"- Recognizer, {text}" for text in recognizers),
    ]


def _model(model: Mapping[str, Any]) -> str:
    return (
        f"{model['file']}, U-Net {model['fingerprint']} ({model['weights']} weights, {model['parameters']:,} "
        f"parameters), first stage {model['first_stage']}"
    )


def _seconds(run: Run) -> list[str]:
    if not run.faces:
        return [f"Machine: {run.machine}. No face was restored."]
    seconds = f"{run.seconds / run.faces:.3g} s for each of {run.faces} faces"
    return [f"Machine: {run.machine}. Restoring took {seconds}, encoding its references included."]


def _checklist(run: Run) -> list[str]:
    rows: list[list[str]] = []
    for requirement in REQUIRED:
        change = gain(run, requirement.metric, requirement.better, requirement.worse)
        verdict = "PASS" if requirement.holds(change) else "**FAIL**"
        rows.append([str(requirement), _number(change, requirement.metric, sign=True), *_certainty(change), verdict])
    moles = estimate(run.column(BEST, "moles"))
    verdict = "PASS" if moles.count and moles.mean > LEAST_MOLES else "**FAIL**"
    rows.append(
        [f"moles found: {BEST} above {LEAST_MOLES:.0%}", _number(moles, "moles"), "", "", str(moles.count), verdict]
    )
    return _table(["required", "mean gain", "in standard errors", "people who gain", "people", ""], rows)


def _certainty(change: Difference) -> list[str]:
    return [f"{change.errors_from_zero:.1f}", f"{change.share:.0%}" if change.count else "none", str(change.count)]


def _means(run: Run) -> list[str]:
    metrics = _metrics(run)
    rows = [
        [_describe_picture(name), *(_mean(run, name, metric) for metric in metrics)]
        for name in (*JUDGED, TRUTH, *PHOTOS)
    ]
    counts = [str(estimate(run.column(BEST, metric)).count) for metric in metrics]
    return _table(["", *(METRICS[metric].label for metric in metrics)], [*rows, ["people", *counts]])


def _differences(run: Run) -> list[str]:
    rows: list[list[str]] = []
    for metric in _metrics(run):
        cells: list[str] = []
        for first, second in PAIRS:
            signed = difference(run.column(first, metric), run.column(second, metric))
            better = METRICS[metric].better
            share = f", better for {gain(run, metric, first, second).share:.0%}" if better and signed.count else ""
            cells.append(_number(signed, metric, sign=True) + share)
        rows.append([METRICS[metric].label, *cells])
    return _table(["", *(f"{first} - {second}" for first, second in PAIRS)], rows)


def _explanations(run: Run) -> list[str]:
    sentences = [
        "IDS is the cosine similarity between the recognizer's embeddings of a picture and of the truth. The "
        "recognizer "
        "sees the face aligned as ArcFace expects it, or (as published) the middle of the crop.",
        "Sharpness is the mean square of the differences between neighboring pixels, divided by that of the truth: "
        "1 is right, less is blurred, more is noisy.",
        "Iris error is the CIE 1976 \u0394E of the irises' mean colors. Moles found is the share of a person's "
        "visible moles that have half of their true contrast or more; people without visible moles are not counted. "
        "Glasses and beard are right if the picture shows them exactly when the person wears them. The row of the true "
        "picture says how often these measures are right.",
        "± is one standard error. Differences are paired, so their errors do not follow from those of the two means.",
    ]
    if "ids_trained" in _metrics(run):
        sentences.insert(1, "The recognizer that the model was trained against judges it too kindly.")
    if "second" in run.about["recognizers"]:
        sentences.insert(1, f"The second recognizer's similarity is {run.about['recognizers']['second']['measure']}.")
    return [" ".join(sentences)]


def _metrics(run: Run) -> list[str]:
    return [metric for metric in METRICS if metric not in OPTIONAL or estimate(run.column(BEST, metric)).count]


def _mean(run: Run, picture: str, metric: str) -> str:
    return _number(estimate(run.column(picture, metric)), metric)


def _number(value: Estimate, metric: str, *, sign: bool = False) -> str:
    if not value.count:
        return "none"
    digits = METRICS[metric].digits
    return f"{value.mean:{'+' if sign else ''}.{digits}f} ± {value.error:.{digits + (digits < 3)}f}"


def _describe_picture(picture: str) -> str:
    if picture in ARMS and ARMS[picture].count:
        arm = ARMS[picture]
        references = "reference" if arm.count == 1 else "references"
        return f"{arm.count} {references} of {'their own' if arm.own else 'a wrong person'}"
    return {
        "none": "no references",
        "first stage": "truth through the first stage",
        TRUTH: "the true picture itself",
        "own photo": "their first reference itself",
        "wrong photo": "a wrong person's photo itself",
    }.get(picture, picture)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
