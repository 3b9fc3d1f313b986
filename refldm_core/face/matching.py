"""Matching of faces to known people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError, shorten
from .constants import SAME_PERSON
from .errors import FaceError
from .identity import Embeddings, cosine
from .scipy_functions import hungarian
from .types import Face


@dataclass(frozen=True)
class Match:
    """The person of one face.

    Attributes:
        person: Name of the person. None where nobody is similar enough, or where another face of the picture is a
            better match for the person.
        similarity: Cosine similarity to the person. Where there is none, the similarity to the most similar person.
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
    assigned: Mapping[int, str | None] = MappingProxyType({}),
) -> list[Match]:
    """Match the faces of each picture to people so that the sum of similarities in the picture is largest.

    Args:
        embeddings: (faces, d) of unit length.
        frames: Index of the picture of each face.
        people: Name -> (d,) centroid of the person.
        threshold: Minimum cosine similarity of a match.
        repeats: Whether two faces of one picture may be the same person (mirrors, collages, photos in the photo).
        assigned: Index of a face -> name of its person, or None for nobody (`people_of_assignments`). Similarities do
            not matter for these faces. The person is not matched to another face of the same picture, unless `repeats`
            allows this. `assigned` itself may name a person twice.

    Returns:
        One match for each face.

    Raises:
        SettingsError: The threshold is outside -1..1.
    """
    if not -1.0 <= threshold <= 1.0:
        raise SettingsError(
            f"A similarity cannot be {threshold}.", expected="-1..1", remedy=f"choose about {SAME_PERSON}"
        )
    names = list(people)
    if not names or not len(embeddings):
        return [Match(None, 0.0) for _ in frames]
    similarities = cosine(embeddings, np.stack([people[name] for name in names]))
    matches = [Match(None, float(row.max())) for row in similarities]
    for i, name in assigned.items():
        if name is not None:
            matches[i] = Match(name, float(similarities[i, names.index(name)]))
    for frame in sorted(set(frames)):
        taken = {name for i, name in assigned.items() if frames[i] == frame and not repeats}
        rows = [i for i, f in enumerate(frames) if f == frame and i not in assigned]
        columns = [j for j, name in enumerate(names) if name not in taken]
        for row, column in assign(similarities[np.ix_(rows, columns)], threshold, repeats=repeats):
            i, j = rows[row], columns[column]
            matches[i] = Match(names[j], float(similarities[i, j]))
    return matches


NOBODY = "nobody"
"""Name in assignments for a face that has no person."""
_ASSIGNMENT = re.compile(r"\s*(\d{1,6})\s*:\s*(\S.*?)\s*", re.DOTALL)


def parse_assignments(text: str) -> dict[int, str]:
    """Parse typed assignments: "2: Anna, 3: nobody" gives {2: "Anna", 3: "nobody"}. An empty text gives {}.

    Raises:
        SettingsError: The text has another form, or assigns two people to a face.
    """
    assigned: dict[int, str] = {}
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        match = _ASSIGNMENT.fullmatch(part)
        if match is None:
            raise SettingsError(
                f"{shorten(part.strip())} does not say who a face is.",
                expected='the number of a face, a colon and a name, such as "2: Anna, 3: nobody"',
                remedy="correct the text, or leave it empty to use the people that the face recognizer finds",
            )
        face, name = int(match[1]), match[2]
        if assigned.setdefault(face, name) != name:
            raise SettingsError(
                f"Face {face} is assigned to {assigned[face]} and to {name}.",
                expected="one person for each face",
                remedy="remove one of the two assignments",
            )
    return assigned


def people_of_assignments(assigned: Mapping[int, str], people: Sequence[str], faces: int) -> dict[int, str | None]:
    """Check assignments against the existing faces and people. Upper and lower case are equal.

    Args:
        assigned: Result of `parse_assignments`.
        people: Names of the people.
        faces: Number of faces.

    Returns:
        Index of the face -> one of the names, or None for `NOBODY`. `match_people` takes this as `assigned`.

    Raises:
        SettingsError: A face or a person does not exist.
    """
    absent = [face for face in assigned if face >= faces]
    if absent:
        raise SettingsError(
            f"There is no face number {absent[0]} to assign to {assigned[absent[0]]}.",
            expected=f"a number from 0 to {faces - 1}" if faces else "no assignment, since there is no face",
            remedy="use the numbers that the node shows, or leave the assignments empty",
        )
    person_of_text: dict[str, str | None] = {NOBODY: None, **{name.casefold(): name for name in people}}
    unknown = [name for name in assigned.values() if name.casefold() not in person_of_text]
    if unknown:
        raise SettingsError(
            f'A face is assigned to "{unknown[0]}", who is not among the people.',
            expected=", ".join([*people, NOBODY]),
            remedy="correct the name, or name the people in the order of their sockets",
        )
    return {face: person_of_text[name.casefold()] for face, name in assigned.items()}


def assign(similarities: NDArray[np.float64], threshold: float, *, repeats: bool = False) -> list[tuple[int, int]]:
    """Return the pairs (row, column) that maximize the sum of (similarity - threshold). No pair is below the threshold.

    Args:
        similarities: (rows, columns).
        threshold: Minimum similarity of a pair.
        repeats: Whether a column may be in several pairs. A row is in at most one pair.
    """
    if not similarities.size:
        return []
    gain = similarities - threshold
    if repeats:
        best = gain.argmax(axis=1)
        return [(i, int(j)) for i, j in enumerate(best) if gain[i, j] >= 0.0]
    # A pair below the threshold has gain 0, like no pair. It therefore never displaces a pair above the threshold.
    return [(i, j) for i, j in hungarian(np.maximum(gain, 0.0)) if gain[i, j] >= 0.0]


def with_people(faces: Sequence[Face], matches: Sequence[Match]) -> list[Face]:
    """Return the faces with the names of their matches."""
    return [replace(face, person=match.person) for face, match in zip(faces, matches, strict=True)]


def with_embeddings(faces: Sequence[Face], embeddings: Embeddings) -> list[Face]:
    """Return the faces with embeddings."""
    return [replace(face, embedding=row) for face, row in zip(faces, embeddings, strict=True)]


def stacked_embeddings(faces: Sequence[Face]) -> Embeddings:
    """Return the embeddings of faces: (faces, d).

    Raises:
        FaceError: A face has no embedding.
    """
    rows = [face.embedding for face in faces if face.embedding is not None]
    if len(rows) != len(faces):
        raise FaceError(
            f"{len(faces) - len(rows)} of {len(faces)} faces have no embedding.",
            expected="faces with embeddings from a recognizer",
            remedy="connect a face recognizer",
        )
    return np.stack(rows) if rows else np.zeros((0, 512), dtype=np.float32)
