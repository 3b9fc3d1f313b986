"""An evaluation in its folder: open the metrics, continue from earlier scores, write the reports."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..checkpoints.download import sha256_of
from ..errors import OutputError, SettingsError
from ..files import atomic_write, make_folder, require_regular
from .dataset import Finding, Target
from .html import write_html
from .identity import IdentityJudge, RecognizerSource, digest_of, name_of, open_identity_judge
from .judges import Judges, fidelity_metrics
from .learned import open_learned
from .metric_list import FIDELITY, IDENTITY, LEARNED, METRICS, SETS
from .packages import require
from .report import write_markdown
from .runner import ShowProgress, judge_all, set_key
from .scores import Scores
from .summary import Summary, require_baseline, summarize

PER_IMAGE, SUMMARY, MARKDOWN, HTML = "per_image.csv", "summary.json", "report.md", "report.html"
_SETTINGS = "evaluation.json"


@dataclass(frozen=True)
class JudgeSettings:
    """The metrics of an evaluation.

    Attributes:
        metrics: Names from `METRICS`. A recognizer that judges the identity also judges the similarity to references.
        recognizers: "ids", "ids_second" -> recognizer, for those that are available.
        device: Device of the learned metrics.

    Raises:
        SettingsError: There is no metric of that name, or no metric was named.
    """

    metrics: Sequence[str] = tuple(METRICS)
    recognizers: Mapping[str, RecognizerSource] = field(default_factory=dict[str, RecognizerSource])
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        unknown = [name for name in self.metrics if name not in METRICS]
        if unknown or not self.metrics:
            raise SettingsError(
                f"There is no metric {', '.join(unknown)}." if unknown else "No metric was named.",
                expected="some of " + ", ".join(METRICS),
                remedy="correct --metrics",
            )

    def requested_recognizers(self) -> dict[str, RecognizerSource]:
        """Return the recognizers of the requested metrics."""
        requested = {*self.metrics} & {*self.recognizers}
        return {name: self.recognizers[name] for name in IDENTITY if name in requested}


_NO_RECOGNIZER = {
    "ids": "no recognizer was named, and there is none in the folder of models (`refldm download insightface`)",
    "ids_second": "no second recognizer was named",
}


def open_judges(settings: JudgeSettings) -> Judges:
    """Open the metrics and recognizers. `Judges.absent` holds the reason for each one that is not available.

    Raises:
        CheckpointError: The file of a recognizer is missing, or is no recognizer.
        MissingPackageError: onnxruntime, dlib, scipy, matplotlib, jinja2 or torchmetrics is not installed.
    """
    for module in ("scipy.stats", "matplotlib.figure", "jinja2"):  # The reports need them after the long work.
        require(module)
    sources = settings.requested_recognizers()
    recognizers: dict[str, IdentityJudge] = {name: open_identity_judge(source) for name, source in sources.items()}
    absent = {name: _NO_RECOGNIZER[name] for name in IDENTITY if name in settings.metrics and name not in sources}
    learned = open_learned(settings.metrics, settings.device)
    fidelity = fidelity_metrics([name for name in FIDELITY if name in settings.metrics])
    return Judges(recognizers, {**fidelity, **learned.pairs}, learned.sets, {**absent, **learned.absent})


@dataclass(frozen=True)
class Evaluation:
    """The pictures and methods of an evaluation.

    Attributes:
        title: Title of the reports.
        targets, findings: Result of `find_targets`.
        methods: Name of the method -> folder of its predictions.
        other_pictures: See `match_predictions`.
        references: CSV of the references. Its hash tells whether earlier scores belong to the same references.
        seconds: Method -> seconds for each face.
        baseline: Method that all other methods are compared with; "" for the first.
    """

    title: str
    targets: Sequence[Target]
    findings: Sequence[Finding]
    methods: Mapping[str, Path]
    other_pictures: Collection[str] = ()
    references: Path | None = None
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    baseline: str = ""


def evaluate(
    job: Evaluation,
    settings: JudgeSettings,
    judges: Judges,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    restart: bool = False,
    show_progress: ShowProgress = iter,
) -> Summary:
    """Judge all predictions, and write per_image.csv, summary.json, report.md and report.html into a folder.

    Args:
        job: Pictures and methods.
        settings: Metrics.
        judges: Result of `open_judges(settings)`.
        out: Folder of the results. It is made where it does not exist.
        resume: Continue from the scores in the folder.
        overwrite: Replace the results in the folder.
        restart: Where `resume` meets another recognizer, references or versions, begin again instead of raising.
        show_progress: See `judge_all`.

    Raises:
        OutputError: The folder holds results and neither `resume` nor `overwrite` is set, or a file cannot be written.
        SettingsError: `resume` meets another recognizer, references or versions, or there is no such baseline.
        DataError: A folder of predictions does not exist.
    """
    require_baseline(list(job.methods), job.baseline)
    make_folder(out)
    conditions = _conditions(job, settings)
    earlier_sets = _earlier_sets(out, conditions, resume=resume, overwrite=overwrite, restart=restart)
    known_sets = earlier_sets or {}
    _write_json(out / _SETTINGS, {"about": conditions, "sets": known_sets})
    scores = Scores(out / PER_IMAGE, resume=earlier_sets is not None)
    judged = judge_all(
        job.targets,
        job.methods,
        judges,
        scores,
        other_pictures=job.other_pictures,
        known_sets=known_sets,
        show_progress=show_progress,
    )
    for method, values in judged.sets.items():
        known_sets |= {set_key(metric, judged.rows[method]): value for metric, value in values.items()}
    _write_json(out / _SETTINGS, {"about": conditions, "sets": known_sets})
    summary = summarize(
        judged,
        findings=job.findings,
        absent=judges.absent,
        seconds=job.seconds,
        judges={name: name_of(source) for name, source in settings.requested_recognizers().items()},
        measures={name: judge.measure for name, judge in judges.recognizers.items()},
        baseline=job.baseline,
    )
    _write_json(out / SUMMARY, summary.as_json())
    write_markdown(out / MARKDOWN, job.title, summary, judged.rows)
    write_html(out / HTML, job.title, summary, judged, job.targets)
    return summary


def _conditions(job: Evaluation, settings: JudgeSettings) -> dict[str, Any]:
    """Return everything besides the pictures' own files that scores depend on."""
    packages = ["torchmetrics"] * bool(set(FIDELITY) & set(settings.metrics))
    packages += ["pyiqa"] * bool({*LEARNED, *SETS} & set(settings.metrics))
    return {
        "recognizers": {name: digest_of(source) for name, source in settings.requested_recognizers().items()},
        "references": sha256_of(job.references) if job.references else None,
        "versions": {package: _version(package) for package in packages},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # Its metrics are absent.
        return None


def _earlier_sets(
    out: Path, conditions: dict[str, Any], *, resume: bool, overwrite: bool, restart: bool
) -> dict[str, float] | None:
    """Return the values of whole sets from the evaluation to continue; None where a new evaluation begins."""
    has_scores = (out / PER_IMAGE).exists()
    if has_scores and not (resume or overwrite):
        raise OutputError(
            f"{out} holds an evaluation already.",
            expected="a new or empty folder",
            remedy="choose another --output, or add --resume to go on with it, or --overwrite to begin again",
        )
    if not (has_scores and resume):
        return None
    earlier_conditions, sets = _read_settings(out / _SETTINGS)
    changed = _changed_conditions(earlier_conditions, conditions)
    if not changed:
        return dict(sets)
    if restart:
        return None
    raise SettingsError(
        f"{out} holds an evaluation with other {', '.join(changed)}.",
        expected="the same references, recognizers and package versions as before",
        remedy="choose another --output, or add --overwrite instead of --resume",
    )


def _read_settings(path: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Return the conditions of an earlier evaluation, and its values of whole sets."""
    try:
        document = json.loads(require_regular(path).read_text(encoding="utf-8"))
        return _checked_settings(document["about"], document["sets"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise OutputError(
            f"{path} cannot be read ({error}), so the settings of the scores in {PER_IMAGE} are unknown.",
            expected="the folder of an earlier evaluation",
            remedy="choose another --output, or add --overwrite instead of --resume",
        ) from error


def _checked_settings(about: Any, sets: Any) -> tuple[dict[str, Any], dict[str, float]]:
    """Return both parts of a file of settings if they have the types that an evaluation writes.

    Raises:
        TypeError, AttributeError: They have other types.
    """
    conditions = [about.get("recognizers", {}), about.get("versions", {})]
    if not all(isinstance(part, dict) for part in (sets, *conditions)):
        raise TypeError("it has something else than keys and values")
    if not all(type(value) in (int, float) for value in sets.values()):
        raise TypeError("a value of a set is no number")
    return about, sets


def _changed_conditions(earlier: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """Return the names of the conditions that differ.

    A recognizer or package that only one evaluation has concerns other columns only, and does not count.
    """
    changed = ["references"] if earlier.get("references") != current["references"] else []
    for part in ("recognizers", "versions"):
        common = sorted(set(earlier.get(part, {})) & set(current[part]))
        changed += [f"{part}: {name}" for name in common if earlier[part][name] != current[part][name]]
    return changed


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
