"""Judge the predictions of one target: read the files, compute the metrics that are missing, name what is unusable."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..checkpoints.download import sha256_of
from ..errors import ImageFileError
from ..face.identity import Embeddings
from ..images import load_image
from ..out_of_memory import is_out_of_memory
from .dataset import Finding, Target
from .judges import METRIC_ERRORS, Judges, no_value
from .metric_list import LIKENESS
from .metrics import Picture, embed_picture
from .scores import Row, Scores

_CACHED_EMBEDDINGS = 4096
"""Reference photos whose embeddings stay in memory: people with the same references follow each other."""


@dataclass(frozen=True)
class _Prediction:
    """A prediction and the values that an earlier evaluation of the same files found."""

    method: str
    path: Path
    sha256: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class _Truth:
    """What the predictions of a target are compared with.

    Attributes:
        picture: The true picture.
        embeddings: Recognizer -> embedding (1, d) of the true picture.
        references: Recognizer -> embeddings (n, d) of the n reference photos; empty where one of them is damaged.
    """

    picture: Picture
    embeddings: Mapping[str, Embeddings]
    references: Mapping[str, Embeddings]


class TargetJudge:
    """Judges one target after the other.

    Args:
        judges: Metrics to compute.
        scores: Table of earlier scores. It supplies the values that are known, and receives the new rows.

    Attributes:
        rows: Method -> a row for each prediction that could be used, in the order in which targets were judged.
        findings: Everything about the files that the report names.
    """

    def __init__(self, judges: Judges, scores: Scores) -> None:
        self._judges = judges
        self._scores = scores
        self._embed_reference = lru_cache(_CACHED_EMBEDDINGS)(self._load_and_embed)
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.findings: list[Finding] = []

    def judge(self, target: Target, predictions: Mapping[str, Path]) -> None:
        """Judge the prediction of every method. A file that cannot be used becomes a finding.

        Args:
            target: The target.
            predictions: Method -> its prediction, for the methods that have one.
        """
        try:
            if not predictions:
                load_image(target.path)  # A damaged true picture may be why there is no prediction.
                return
            truth_sha256 = _sha256(target.path)
            pending = self._pending_predictions(target, truth_sha256, predictions)
            if not pending:
                return
            truth = self._open_truth(target)
            for prediction in pending:
                picture = self._open_prediction(target, truth.picture, prediction)
                if picture is not None:
                    values = self._missing_pair_values(target, truth.picture, prediction, picture)
                    values |= self._identity_values(truth, picture)
                    self._add_row(target, truth_sha256, prediction, {**prediction.values, **values})
        except ImageFileError as error:
            self._report_unreadable(target, error)

    def _pending_predictions(
        self, target: Target, truth_sha256: str, predictions: Mapping[str, Path]
    ) -> list[_Prediction]:
        """Return the predictions that lack a value. Add the rows of those that are complete."""
        pending: list[_Prediction] = []
        for method, path in predictions.items():
            try:
                sha256 = _sha256(path)
            except ImageFileError as error:
                self._report_unreadable(target, error, method)
                continue
            row = self._scores.rows.get((method, target.name))
            is_unchanged = row is not None and (row.prediction_sha256, row.truth_sha256) == (sha256, truth_sha256)
            prediction = _Prediction(method, path, sha256, row.values if row is not None and is_unchanged else {})
            if self._judges.metrics_of(target) - set(prediction.values):
                pending.append(prediction)
            else:
                self._add_row(target, truth_sha256, prediction, prediction.values)
        return pending

    def _open_truth(self, target: Target) -> _Truth:
        picture = np.asarray(load_image(target.path))
        embeddings = {name: embed_picture(judge, picture) for name, judge in self._judges.recognizers.items()}
        return _Truth(picture, embeddings, self._embed_references(target))

    def _embed_references(self, target: Target) -> dict[str, Embeddings]:
        """Return the embeddings (n, d) by recognizer; empty without references, or where one of them is damaged.

        A row without these values is judged again by the next run, which then names the damaged reference again.
        """
        embeddings: dict[str, list[Embeddings]] = {name: [] for name in self._judges.recognizers}
        damaged: dict[str, str] = {}
        for path in target.references:
            try:
                for name, photos in embeddings.items():
                    photos.append(self._embed_reference(name, path))
            except ImageFileError as error:
                damaged[path.name] = error.problem
        self.findings += [
            Finding("corrupt picture", name, f"as a reference: {problem}") for name, problem in damaged.items()
        ]
        if damaged or not target.references:
            return {}
        return {name: np.concatenate(photos) for name, photos in embeddings.items()}

    def _load_and_embed(self, recognizer: str, path: Path) -> Embeddings:
        return embed_picture(self._judges.recognizers[recognizer], np.asarray(load_image(path)))

    def _open_prediction(self, target: Target, truth: Picture, prediction: _Prediction) -> Picture | None:
        """Return the picture of a prediction; None, after adding a finding, where it cannot be used."""
        try:
            picture = np.asarray(load_image(prediction.path))
        except ImageFileError as error:
            self._report_unreadable(target, error, prediction.method)
            return None
        if picture.shape == truth.shape:
            return picture
        (height, width), (true_height, true_width) = picture.shape[:2], truth.shape[:2]
        detail = f"{prediction.path.name} is {width}x{height} pixels, the truth {true_width}x{true_height}"
        self.findings.append(Finding("other size", target.name, detail, prediction.method))
        return None

    def _missing_pair_values(
        self, target: Target, truth: Picture, prediction: _Prediction, picture: Picture
    ) -> dict[str, float]:
        """Compute the metrics of prediction and true picture that are not known. Name a metric that has no value."""
        values: dict[str, float] = {}
        for name, metric in self._judges.pairs.items():
            if name in prediction.values:
                continue
            try:
                value = metric(picture, truth)
            except METRIC_ERRORS as error:
                if is_out_of_memory(error):
                    raise
                self.findings.append(no_value(name, target.name, prediction.method, str(error)))
                continue
            if math.isnan(value):
                self.findings.append(no_value(name, target.name, prediction.method, "it is not a number"))
            else:
                values[name] = value
        return values

    def _identity_values(self, truth: _Truth, picture: Picture) -> dict[str, float]:
        """Compute the similarity to the true picture, and the mean similarity to the references."""
        values: dict[str, float] = {}
        for name, recognizer in self._judges.recognizers.items():
            embedding = embed_picture(recognizer, picture)
            values[name] = float(recognizer.similarity(embedding, truth.embeddings[name])[0, 0])
            if name in truth.references:
                values[LIKENESS[name]] = float(recognizer.similarity(embedding, truth.references[name]).mean())
        return values

    def _add_row(self, target: Target, truth_sha256: str, prediction: _Prediction, values: Mapping[str, float]) -> None:
        row = Row(prediction.method, target.name, target.person, prediction.sha256, truth_sha256, values)
        self._scores.add(row)
        self.rows[row.method].append(row)

    def _report_unreadable(self, target: Target, error: ImageFileError, method: str = "") -> None:
        self.findings.append(Finding("corrupt picture", target.name, error.problem, method))


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ImageFileError(
            f"{path} cannot be read: {error}.", expected="a picture", remedy="check its permissions"
        ) from error
