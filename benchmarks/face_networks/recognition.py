"""Score a face recognizer on pictures whose people are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score


@dataclass(frozen=True)
class RecognitionScores:
    """How well similarities tell people apart.

    Attributes:
        pictures, people: numbers of pictures and of people.
        auc: area under the ROC curve over all pairs of pictures: the probability that a pair of one person is more
            similar than a pair of two people.
        same, different: mean similarity of a pair of one person, and of a pair of two people.
        nearest: share of the pictures whose most similar other picture shows the same person, among the pictures of
            people with several pictures.
    """

    pictures: int
    people: int
    auc: float
    same: float
    different: float
    nearest: float


def score_recognizer(similarities: NDArray[np.float64], people: Sequence[str]) -> RecognitionScores:
    """Score the similarities of all pairs of pictures.

    Args:
        similarities: (n, n).
        people: name of the person in each picture. At least one person has several pictures, and there are at least
            two people.
    """
    names = np.array(people)
    pairs = np.triu_indices(len(names), 1)
    same = (names[:, None] == names[None])[pairs]
    values = similarities[pairs]
    others = np.where(np.eye(len(names), dtype=bool), -np.inf, similarities)
    repeated = np.array([int((names == name).sum()) > 1 for name in names])
    correct = names[np.argmax(others, axis=1)] == names
    return RecognitionScores(
        len(names),
        len(set(people)),
        float(roc_auc_score(same, values)),
        float(values[same].mean()),
        float(values[~same].mean()),
        float(correct[repeated].mean()),
    )
