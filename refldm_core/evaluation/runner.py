"""Judging every prediction of every method: resumable, and going on where a file cannot be used."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..checkpoints.download import sha256_of
from ..errors import ImageFileError
from ..face.identity import Embeddings
from ..images import load_image
from ..out_of_memory import is_out_of_memory
from .dataset import Finding, Target, match_predictions
from .identity import IdentityJudge
from .learned import PairMetric, SetMetric
from .metrics import LIKENESS, METRICS, Picture, embed_picture, psnr, ssim
from .packages import require
from .scores import Row, Scores

_REMEMBERED = 4096
"""Reference photos whose embeddings are kept: people with the same references follow each other."""

_METRIC_ERRORS = (RuntimeError, ValueError, AssertionError)
"""What pyiqa raises for pictures that it cannot judge, such as too small ones; it has no errors of its own."""

_FIDELITY: dict[str, PairMetric] = {"psnr": psnr, "ssim": ssim}


def pair_metrics(names: Iterable[str]) -> dict[str, PairMetric]:
    """PSNR and SSIM by name.

    Raises:
        MissingPackageError: torchmetrics is not installed.
    """
    wanted = {name: _FIDELITY[name] for name in names}
    if wanted:
        require("torchmetrics.functional.image")
    return wanted


@dataclass(frozen=True)
class Judges:
    """What judges.

    Attributes:
        recognizers: "ids", "ids_second" or both -> judge of identity.
        pairs: metrics of a prediction and its truth that are there.
        sets: metrics of all pictures that are there.
        absent: metric that was wanted -> why it is not there.
    """

    recognizers: Mapping[str, IdentityJudge] = field(default_factory=dict[str, IdentityJudge])
    pairs: Mapping[str, PairMetric] = field(default_factory=dict[str, PairMetric])
    sets: Mapping[str, SetMetric] = field(default_factory=dict[str, SetMetric])
    absent: Mapping[str, str] = field(default_factory=dict[str, str])

    def of(self, target: Target) -> set[str]:
        """The metrics that a picture of this target gets."""
        likeness = {LIKENESS[name] for name in self.recognizers} if target.references else set[str]()
        return {*self.recognizers, *self.pairs, *likeness}


@dataclass(frozen=True)
class Judged:
    """What an evaluation found.

    Attributes:
        rows: method -> its rows, in the order of the pictures; duplicates and what could not be used are left out.
        sets: method -> metric of all its pictures -> value.
        files: method -> target's name -> prediction.
        findings: what the report must name.
    """

    rows: Mapping[str, Sequence[Row]]
    sets: Mapping[str, Mapping[str, float]]
    files: Mapping[str, Mapping[str, Path]]
    findings: Sequence[Finding]


EachTarget = Callable[[Sequence[Target]], Iterable[Target]]
"""Passes targets through, as a progress bar does."""


def judge_all(
    targets: Sequence[Target],
    methods: Mapping[str, Path],
    judges: Judges,
    scores: Scores,
    *,
    others: Collection[str] = (),
    known_sets: Mapping[str, float] | None = None,
    each: EachTarget = iter,
) -> Judged:
    """Judge the predictions that `scores` lacks, or whose files have changed since.

    Args:
        targets: what to judge against.
        methods: name -> folder of predictions.
        judges: by what.
        scores: of earlier; gets the new ones, and is written at the end, also of an interrupted run.
        others: names of true pictures that are not judged.
        known_sets: values of metrics of whole sets from earlier, by `set_key`.
        each: shows progress.

    Raises:
        DataError: a folder of predictions that is none.
        OutputError: the scores cannot be written.
    """
    files: dict[str, Mapping[str, Path]] = {}
    findings: list[Finding] = []
    for method, folder in methods.items():
        files[method], unmatched = match_predictions(method, folder, targets, others)
        findings += unmatched
    work = _Work(judges, scores)
    try:
        for target in each(targets):
            findings += work.judge(target, {name: of[target.name] for name, of in files.items() if target.name in of})
    finally:
        scores.write()
    order = [target.name for target in targets]
    rows = {method: [scores.rows[method, name] for name in order if (method, name) in work.done] for method in methods}
    findings += _duplicates(rows)
    left_out = {(finding.method, finding.what) for finding in findings if finding.kind == "duplicate"}
    rows = {
        method: [row for row in of if not {("", row.image), (method, row.image)} & left_out]
        for method, of in rows.items()
    }
    paths = {target.name: target.path for target in targets}
    sets: dict[str, dict[str, float]] = {method: {} for method in methods}
    for method, of in rows.items():
        # One picture has no covariance.
        for name, metric in judges.sets.items() if len(of) > 1 else ():
            key = set_key(name, of)
            try:
                if known_sets and key in known_sets:
                    value = known_sets[key]
                else:
                    value = metric([files[method][row.image] for row in of], [paths[row.image] for row in of])
                sets[method][name] = value
            except _METRIC_ERRORS as error:
                if is_out_of_memory(error):
                    raise
                findings.append(_no_value(name, "all pictures", method, str(error)))
    return Judged(rows, sets, files, list(dict.fromkeys(findings)))


def set_key(metric: str, rows: Sequence[Row]) -> str:
    """Tells whether a metric of a set was computed of just these files."""
    lines = sorted(f"{row.prediction_sha256} {row.truth_sha256}" for row in rows)
    return f"{metric} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


@dataclass(frozen=True)
class _Todo:
    """A prediction to judge: its file, its hash, and what is known of it from earlier."""

    path: Path
    sha256: str
    values: Mapping[str, float]


class _Work:
    """Judges one target after the other.

    Attributes:
        done: (method, image) of the rows that belong to the files as they are now.
    """

    def __init__(self, judges: Judges, scores: Scores) -> None:
        self._judges = judges
        self._scores = scores
        self.done: set[tuple[str, str]] = set()
        self._photo = lru_cache(_REMEMBERED)(self._embed_photo)

    def judge(self, target: Target, predictions: Mapping[str, Path]) -> list[Finding]:
        """Judge every method's prediction of a target; what cannot be used is named."""
        findings: list[Finding] = []
        try:
            if not predictions:
                load_image(target.path)  # perhaps it is the reason
                return []
            truth_sha256 = _hash(target.path)
            todo = self._todo(target, truth_sha256, predictions, findings)
            if todo:
                truth = np.asarray(load_image(target.path))
                embeddings = {n: embed_picture(r, truth) for n, r in self._judges.recognizers.items()}
                photos = self._photos(target, findings)
                for method, one in todo.items():
                    prediction = _prediction(target, truth, method, one, findings)
                    if prediction is not None:
                        values = self._measure(target, method, one, (prediction, truth), findings)
                        values |= self._identities(prediction, embeddings, photos)
                        self._keep(target, truth_sha256, method, one.sha256, {**one.values, **values})
        except ImageFileError as error:
            findings.append(_unreadable(target.name, error))
        return findings

    def _todo(
        self, target: Target, truth_sha256: str, predictions: Mapping[str, Path], findings: list[Finding]
    ) -> dict[str, _Todo]:
        """The predictions that lack a value; the others' rows are kept."""
        todo: dict[str, _Todo] = {}
        for method, path in predictions.items():
            try:
                sha256 = _hash(path)
            except ImageFileError as error:
                findings.append(_unreadable(target.name, error, method))
                continue
            row = self._scores.rows.get((method, target.name))
            same = row is not None and (row.prediction_sha256, row.truth_sha256) == (sha256, truth_sha256)
            values: Mapping[str, float] = row.values if row is not None and same else dict[str, float]()
            if self._judges.of(target) - set(values):
                todo[method] = _Todo(path, sha256, values)
            else:
                self._keep(target, truth_sha256, method, sha256, values)
        return todo

    def _measure(
        self,
        target: Target,
        method: str,
        one: _Todo,
        pictures: tuple[Picture, Picture],
        findings: list[Finding],
    ) -> dict[str, float]:
        """The metrics of prediction and truth that are not known; one that has no value for them is named."""
        values: dict[str, float] = {}
        for name in [name for name in self._judges.pairs if name not in one.values]:
            try:
                value = self._judges.pairs[name](*pictures)
            except _METRIC_ERRORS as error:
                if is_out_of_memory(error):
                    raise
                findings.append(_no_value(name, target.name, method, str(error)))
                continue
            if math.isnan(value):
                findings.append(_no_value(name, target.name, method, "it is not a number"))
            else:
                values[name] = value
        return values

    def _identities(
        self, prediction: Picture, truth: Mapping[str, Embeddings], photos: Mapping[str, Embeddings]
    ) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, recognizer in self._judges.recognizers.items():
            embedding = embed_picture(recognizer, prediction)
            values[name] = float(recognizer.similarity(embedding, truth[name])[0, 0])
            if name in photos:
                values[LIKENESS[name]] = float(recognizer.similarity(embedding, photos[name]).mean())
        return values

    def _photos(self, target: Target, findings: list[Finding]) -> dict[str, Embeddings]:
        """The references' embeddings by recognizer; none where one of them is damaged, so that it is named again."""
        damaged: dict[str, str] = {}
        for path in target.references:
            try:
                for name in self._judges.recognizers:
                    self._photo(name, path)
            except ImageFileError as error:
                damaged[path.name] = error.problem
        findings += [Finding("corrupt picture", name, f"as a reference: {why}") for name, why in damaged.items()]
        if damaged or not target.references:
            return {}
        return {
            name: np.concatenate([self._photo(name, path) for path in target.references])
            for name in self._judges.recognizers
        }

    def _embed_photo(self, name: str, path: Path) -> Embeddings:
        return embed_picture(self._judges.recognizers[name], np.asarray(load_image(path)))

    def _keep(self, target: Target, truth_sha256: str, method: str, sha256: str, values: Mapping[str, float]) -> None:
        self._scores.add(Row(method, target.name, target.person, sha256, truth_sha256, values))
        self.done.add((method, target.name))


def _prediction(target: Target, truth: Picture, method: str, one: _Todo, findings: list[Finding]) -> Picture | None:
    """A prediction; None, and a finding, where it cannot be used."""
    try:
        prediction = np.asarray(load_image(one.path))
    except ImageFileError as error:
        findings.append(_unreadable(target.name, error, method))
        return None
    if prediction.shape == truth.shape:
        return prediction
    (height, width), (true_height, true_width) = prediction.shape[:2], truth.shape[:2]
    detail = f"{one.path.name} is {width}x{height} pixels, the truth {true_width}x{true_height}"
    findings.append(Finding("other size", target.name, detail, method))
    return None


def _no_value(metric: str, what: str, method: str, why: str) -> Finding:
    detail = f"{METRICS[metric].label} has no value ({why.strip().partition(chr(10))[0]})"
    return Finding("no value", what, detail, method, mend=False)


def _duplicates(rows: Mapping[str, Sequence[Row]]) -> list[Finding]:
    """The same file twice: among the truths the later ones, among a method's predictions all of them."""
    found: dict[tuple[str, str], Finding] = {}
    for method, of_method in rows.items():
        truths: dict[str, list[str]] = defaultdict(list)
        predictions: dict[str, list[str]] = defaultdict(list)
        for row in of_method:
            truths[row.truth_sha256].append(row.image)
            predictions[row.prediction_sha256].append(row.image)
        for first, *copies in truths.values():
            found |= {
                ("", copy): Finding("duplicate", copy, f"the same file as {first}, which alone counts")
                for copy in copies
            }
        truth_of = {row.image: row.truth_sha256 for row in of_method}
        for names in predictions.values():
            # Of two true pictures that are the same, so may be the predictions.
            if len({truth_of[name] for name in names}) > 1:
                what = f"one and the same prediction for {', '.join(names)}; none of them counts"
                found |= {(method, name): Finding("duplicate", name, what, method) for name in names}
    return [found[key] for key in sorted(found)]


def _unreadable(name: str, error: ImageFileError, method: str = "") -> Finding:
    return Finding("corrupt picture", name, error.problem, method)


def _hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ImageFileError(
            f"{path} cannot be read: {error}.", expected="a picture", remedy="check its permissions"
        ) from error
