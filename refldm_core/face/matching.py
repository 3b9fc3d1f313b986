"""Which known person each face is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .errors import FaceError
from .identity import Embeddings, cosine
from .types import Face
from .untyped import hungarian

SAME_PERSON = 0.35
"""Cosine similarity above which two photos usually show one person, for insightface's published recognisers. Degraded
faces score lower than sharp ones: 0.25 to 0.3 serves where everybody in the picture is known."""


@dataclass(frozen=True)
class Match:
    """The person of one face.

    Attributes:
        person: name, None where nobody is similar enough, or the most similar one is another face of the picture.
        similarity: to that person; to the most similar one where there is none.
    """

    person: str | None
    similarity: float


def match_people(
    embeddings: Embeddings,
    frames: Sequence[int],
    people: Mapping[str, Embeddings],
    *,
    threshold: float = SAME_PERSON,
    repeats: bool = False,
) -> list[Match]:
    """Give every face its person such that the sum of similarities in each picture is largest.

    Args:
        embeddings: (faces, d) of unit length.
        frames: index of each face's picture.
        people: name -> (d,), the person's centroid.
        threshold: least cosine similarity.
        repeats: whether two faces of one picture may be the same person (mirrors, collages, photos in the photo).

    Returns:
        One match for each face.

    Raises:
        SettingsError: a threshold outside -1..1.
    """
    if not -1.0 <= threshold <= 1.0:
        raise SettingsError(
            f"A similarity of {threshold} does not exist.", expected="-1..1", remedy=f"choose about {SAME_PERSON}"
        )
    names = list(people)
    if not names or not len(embeddings):
        return [Match(None, 0.0) for _ in frames]
    similarities = cosine(embeddings, np.stack([people[name] for name in names]))
    matches = [Match(None, float(row.max())) for row in similarities]
    for frame in sorted(set(frames)):
        rows = [i for i, f in enumerate(frames) if f == frame]
        for row, column in assign(similarities[rows], threshold, repeats=repeats):
            i = rows[row]
            matches[i] = Match(names[column], float(similarities[i, column]))
    return matches


def assign(similarities: NDArray[np.float64], threshold: float, *, repeats: bool = False) -> list[tuple[int, int]]:
    """Pairs (row, column) that maximise the sum of (similarity - threshold), each above 0.

    Args:
        similarities: (rows, columns).
        threshold: least similarity of a pair.
        repeats: whether a column may stand in several pairs.
    """
    if not similarities.size:
        return []
    gain = similarities - threshold
    if repeats:
        best = gain.argmax(axis=1)
        return [(i, int(j)) for i, j in enumerate(best) if gain[i, j] >= 0.0]
    # Pairs below the threshold count 0, as staying alone does, so that they never push out a good pair.
    return [(i, j) for i, j in hungarian(np.maximum(gain, 0.0)) if gain[i, j] >= 0.0]


def with_people(faces: Sequence[Face], matches: Sequence[Match]) -> list[Face]:
    """The faces with the names of their matches."""
    return [replace(face, person=match.person) for face, match in zip(faces, matches, strict=True)]


def with_embeddings(faces: Sequence[Face], embeddings: Embeddings) -> list[Face]:
    """The faces with their embeddings."""
    return [replace(face, embedding=row) for face, row in zip(faces, embeddings, strict=True)]


def stacked_embeddings(faces: Sequence[Face]) -> Embeddings:
    """(faces, d) of faces that all have an embedding.

    Raises:
        FaceError: one has none.
    """
    rows = [face.embedding for face in faces if face.embedding is not None]
    if len(rows) != len(faces):
        raise FaceError(
            f"{len(faces) - len(rows)} of {len(faces)} faces have no embedding.",
            expected="faces that a recogniser has seen",
            remedy="connect a face recogniser",
        )
    return np.stack(rows) if rows else np.zeros((0, 512), dtype=np.float32)
