"""Which known person each face is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError, shortened
from .errors import FaceError
from .identity import Embeddings, cosine
from .scipy_functions import hungarian
from .types import Face

SAME_PERSON = 0.35
"""Cosine similarity above which two photos usually show one person, for insightface's published recognizers. Degraded
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
    assigned: Mapping[int, str | None] = MappingProxyType({}),
) -> list[Match]:
    """Give every face its person such that the sum of similarities in each picture is largest.

    Args:
        embeddings: (faces, d) of unit length.
        frames: index of each face's picture.
        people: name -> (d,), the person's centroid.
        threshold: least cosine similarity.
        repeats: whether two faces of one picture may be the same person (mirrors, collages, photos in the photo).
        assigned: index of a face -> its person, None for nobody, whatever the similarities say (`parse_assignments`).
            No other face of that picture becomes the same person, unless `repeats` or `assigned` says so.

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
"""What stands for a face without a person in assignments."""
_ASSIGNMENT = re.compile(r"\s*(\d{1,6})\s*:\s*(\S.*?)\s*", re.DOTALL)


def parse_assignments(text: str) -> dict[int, str]:
    """Who faces are, typed in: "2: Anna, 3: nobody" is {2: "Anna", 3: "nobody"}; an empty text is {}.

    Raises:
        SettingsError: another form, or a face with two people.
    """
    assigned: dict[int, str] = {}
    for part in text.replace("\n", ",").split(","):
        if not part.strip():
            continue
        match = _ASSIGNMENT.fullmatch(part)
        if match is None:
            raise SettingsError(
                f"{shortened(part.strip())} does not say who a face is.",
                expected='the number of a face, a colon and a name, such as "2: Anna, 3: nobody"',
                remedy="correct the text, or leave it empty for the people that the face recognizer finds",
            )
        face, name = int(match[1]), match[2]
        if assigned.setdefault(face, name) != name:
            raise SettingsError(
                f"Face {face} is assigned to {assigned[face]} and to {name}.",
                expected="one person for each face",
                remedy="remove one of the two",
            )
    return assigned


def people_of_assignments(assigned: Mapping[int, str], people: Sequence[str], faces: int) -> dict[int, str | None]:
    """Check assignments against the faces and people that there are; capitals do not matter.

    Args:
        assigned: from `parse_assignments`.
        people: names.
        faces: how many there are.

    Returns:
        Index of the face -> one of the names, None for `NOBODY`: for `match_people`.

    Raises:
        SettingsError: a face or a person that there is not.
    """
    absent = [face for face in assigned if face >= faces]
    if absent:
        raise SettingsError(
            f"There is no face number {absent[0]} to assign to {assigned[absent[0]]}.",
            expected=f"a number from 0 to {faces - 1}" if faces else "no assignment, since there is no face",
            remedy="look at the numbers that the node shows, or leave the assignments empty",
        )
    known: dict[str, str | None] = {NOBODY: None, **{name.casefold(): name for name in people}}
    unknown = [name for name in assigned.values() if name.casefold() not in known]
    if unknown:
        raise SettingsError(
            f'A face is assigned to "{unknown[0]}", who is not among the people.',
            expected=", ".join([*people, NOBODY]),
            remedy="correct the name, or name the people in the order of their sockets",
        )
    return {face: known[name.casefold()] for face, name in assigned.items()}


def assign(similarities: NDArray[np.float64], threshold: float, *, repeats: bool = False) -> list[tuple[int, int]]:
    """Pairs (row, column) that maximize the sum of (similarity - threshold), each above 0.

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
            expected="faces that a recognizer has seen",
            remedy="connect a face recognizer",
        )
    return np.stack(rows) if rows else np.zeros((0, 512), dtype=np.float32)
