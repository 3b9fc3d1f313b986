"""An evaluation with its folder: opens what judges, goes on with earlier scores, writes the reports."""

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
from .metrics import FIDELITY, IDENTITY, LEARNED, METRICS, SETS
from .packages import require
from .report import write_markdown
from .runner import ShowProgress, judge_all, set_key
from .scores import Scores
from .summary import Summary, require_baseline, summarize

PER_IMAGE, SUMMARY, MARKDOWN, HTML = "per_image.csv", "summary.json", "report.md", "report.html"
_SETTINGS = "evaluation.json"


@dataclass(frozen=True)
class JudgeSettings:
    """By what to judge.

    Attributes:
        metrics: names of `METRICS`; similarities to references come with the recognizer that judges them.
        recognizers: "ids", "ids_second" -> the recognizer, where there is one.
        device: of the learned metrics.

    Raises:
        SettingsError: an unknown metric.
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

    def named(self) -> dict[str, RecognizerSource]:
        """The recognizers that are wanted and were named."""
        return {name: self.recognizers[name] for name in IDENTITY if name in {*self.metrics} & {*self.recognizers}}


_NO_RECOGNIZER = {
    "ids": "no recognizer was named, and there is none in the folder of models (`refldm download insightface`)",
    "ids_second": "no second recognizer was named",
}


def open_judges(settings: JudgeSettings) -> Judges:
    """Open everything that judges; what cannot be had is in `Judges.absent`, with the reason.

    Raises:
        CheckpointError: a recognizer that was named is missing, or is none.
        MissingPackageError: onnxruntime, dlib, scipy, matplotlib, jinja2 or torchmetrics is not installed.
    """
    for module in ("scipy.stats", "matplotlib.figure", "jinja2"):  # before the long work
        require(module)
    sources = settings.named()
    recognizers: dict[str, IdentityJudge] = {name: open_identity_judge(source) for name, source in sources.items()}
    absent = {n: _NO_RECOGNIZER[n] for n in IDENTITY if n in settings.metrics and n not in sources}
    learned = open_learned(settings.metrics, settings.device)
    fidelity = fidelity_metrics([name for name in FIDELITY if name in settings.metrics])
    return Judges(recognizers, {**fidelity, **learned.pairs}, learned.sets, {**absent, **learned.absent})


@dataclass(frozen=True)
class Evaluation:
    """What to evaluate.

    Attributes:
        title: of the reports.
        targets, findings: from `find_targets`.
        methods: name -> folder of predictions.
        other_pictures: See `match_predictions`.
        references: the CSV, which tells whether earlier scores are of the same references.
        seconds: method -> seconds for each face.
        baseline: method that the others are compared with; "" for the first.
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
    """Judge, and write per_image.csv, summary.json, report.md and report.html into a folder.

    Args:
        job: what.
        settings: by what; `judges` are its own.
        judges: from `open_judges`.
        out: the folder; it is made.
        resume: go on with the scores that are there.
        overwrite: begin again.
        restart: resumed with another recognizer, references or versions, begin again instead of raising.
        show_progress: See `judge_all`.

    Raises:
        OutputError: results are there and neither `resume` nor `overwrite` was said, or they cannot be written.
        SettingsError: resumed with another recognizer, references or versions.
        DataError: a folder of predictions that is none.
    """
    require_baseline(list(job.methods), job.baseline)
    make_folder(out)
    about = _about(job, settings)
    earlier = _earlier(out, about, resume=resume, overwrite=overwrite, restart=restart)
    known = earlier or {}
    _write_json(out / _SETTINGS, {"about": about, "sets": known})
    scores = Scores(out / PER_IMAGE, resume=earlier is not None)
    judged = judge_all(
        job.targets,
        job.methods,
        judges,
        scores,
        other_pictures=job.other_pictures,
        known_sets=known,
        show_progress=show_progress,
    )
    for method, values in judged.sets.items():
        known |= {set_key(metric, judged.rows[method]): value for metric, value in values.items()}
    _write_json(out / _SETTINGS, {"about": about, "sets": known})
    summary = summarize(
        judged,
        findings=job.findings,
        absent=judges.absent,
        seconds=job.seconds,
        judges={name: name_of(source) for name, source in settings.named().items()},
        measures={name: judge.measure for name, judge in judges.recognizers.items()},
        baseline=job.baseline,
    )
    _write_json(out / SUMMARY, summary.as_json())
    write_markdown(out / MARKDOWN, job.title, summary, judged.rows)
    write_html(out / HTML, job.title, summary, judged, job.targets)
    return summary


def _about(job: Evaluation, settings: JudgeSettings) -> dict[str, Any]:
    """On what the earlier scores depend, besides the pictures' own files."""
    packages = ["torchmetrics"] * bool(set(FIDELITY) & set(settings.metrics))
    packages += ["pyiqa"] * bool({*LEARNED, *SETS} & set(settings.metrics))
    return {
        "recognizers": {name: digest_of(source) for name, source in settings.named().items()},
        "references": sha256_of(job.references) if job.references else None,
        "versions": {package: _version(package) for package in packages},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # its metrics are absent
        return None


def _earlier(
    out: Path, about: dict[str, Any], *, resume: bool, overwrite: bool, restart: bool
) -> dict[str, float] | None:
    """Values of whole sets from an earlier evaluation, to go on with; None where this begins anew."""
    there = (out / PER_IMAGE).exists()
    if there and not (resume or overwrite):
        raise OutputError(
            f"{out} holds an evaluation already.",
            expected="a new or empty folder",
            remedy="choose another --output, or add --resume to go on with it, or --overwrite to begin again",
        )
    if not (there and resume):
        return None
    try:
        document = json.loads(require_regular(out / _SETTINGS).read_text(encoding="utf-8"))
        earlier, sets = document["about"], document["sets"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{out / _SETTINGS} cannot be read ({error}), so that nobody knows what {PER_IMAGE} is of.",
            expected="the folder of an earlier evaluation",
            remedy="choose another --output, or add --overwrite instead of --resume",
        ) from error
    # A recognizer or package that came or went concerns other columns only.
    pairs = [("references", earlier.get("references"), about["references"])]
    for part in ("recognizers", "versions"):
        common = set(earlier.get(part, {})) & set(about[part])
        pairs += [(f"{part}: {name}", earlier[part][name], about[part][name]) for name in sorted(common)]
    other = [name for name, before, now in pairs if before != now]
    if other and restart:
        return None
    if other:
        raise SettingsError(
            f"{out} holds an evaluation with other {', '.join(other)}.",
            expected="the same references, recognizers and package versions as before",
            remedy="choose another --output, or add --overwrite instead of --resume",
        )
    return dict(sets)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
