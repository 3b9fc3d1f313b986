"""The rules by which candidates become references: the right person, no flaws, no copies, different views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .candidates import Candidate, candidate_embeddings
from .identity import Embeddings, centroid, cosine
from .matching import SAME_PERSON
from .quality import hash_distance
from .scipy_functions import average_linkage


@dataclass(frozen=True)
class ReferenceSettings:
    """What a photo must be worth to become a reference.

    Attributes:
        count: how many references at most; the released model takes up to 5.
        same_person: cosine similarity of two photos of one person.
        min_size: pixels of the face box in the photo.
        max_blur: see `quality.blur`.
        min_confidence: of the detector.
        min_inside: share of the crop that lies inside the photo.
        min_visible: share of the face that nothing covers; counts only where a parser looked.
        same_photo: cosine similarity and `hash_bits` bits of 64 within which two photos are copies of one.
        hash_bits: see `same_photo`.
    """

    count: int = 5
    same_person: float = SAME_PERSON
    min_size: float = 80.0
    max_blur: float = 0.6
    min_confidence: float = 0.6
    min_inside: float = 0.7
    min_visible: float = 0.75
    same_photo: float = 0.9
    hash_bits: int = 8

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError(
                f"{self.count} references cannot be chosen.", expected="1 or more", remedy="choose up to 5"
            )


def group_people(embeddings: Embeddings, same_person: float) -> NDArray[np.int64]:
    """Number the people among faces: (n, d) of unit length -> (n,).

    Average linkage: unlike connected components it is not misled by one face that resembles two people.
    """
    return average_linkage(1.0 - cosine(embeddings, embeddings), 1.0 - same_person)


def keep_person(
    candidates: Sequence[Candidate], settings: ReferenceSettings, person: Embeddings | None, reasons: dict[int, str]
) -> list[Candidate]:
    """The person's face in each photo that shows them, by order of photos."""
    if not candidates:
        return []
    embeddings = candidate_embeddings(candidates)
    whom = "the majority" if person is None else "the person"
    if person is None:
        groups = group_people(embeddings, settings.same_person)
        photos: defaultdict[int, set[int]] = defaultdict(set)
        worth: defaultdict[int, float] = defaultdict(float)
        for group, candidate in zip(groups.tolist(), candidates, strict=True):
            photos[group].add(candidate.photo)
            worth[group] += candidate.quality.overall
        majority = max(photos, key=lambda group: (len(photos[group]), worth[group]))
        person = centroid(embeddings[groups == majority])
        belongs = groups == majority
    else:
        belongs = cosine(embeddings, person[None])[:, 0] >= settings.same_person
    alike = cosine(embeddings, person[None])[:, 0]
    best_matches: dict[int, tuple[float, Candidate]] = {}
    for candidate, similarity, belonging in zip(candidates, alike.tolist(), belongs.tolist(), strict=True):
        if belonging and (candidate.photo not in best_matches or similarity > best_matches[candidate.photo][0]):
            best_matches[candidate.photo] = similarity, candidate
    for photo in {candidate.photo for candidate in candidates} - set(best_matches):
        best = max(s for c, s in zip(candidates, alike.tolist(), strict=True) if c.photo == photo)
        reasons[photo] = f"another person (similarity to {whom} {best:.2f})"
    return [candidate for _, (_, candidate) in sorted(best_matches.items())]


def has_flaw(candidate: Candidate, settings: ReferenceSettings, reasons: dict[int, str]) -> bool:
    quality = candidate.quality
    visible = 1.0 if quality.visible is None else quality.visible
    flaws = {
        f"tiny face ({quality.size:.0f} of {settings.min_size:g} pixels)": quality.size < settings.min_size,
        f"blurred ({quality.blur:.2f}, at most {settings.max_blur:g})": quality.blur > settings.max_blur,
        f"occluded ({visible:.0%} of the face visible)": visible < settings.min_visible,
        f"cut off by the border ({quality.inside:.0%} inside)": quality.inside < settings.min_inside,
        f"hardly a face, or occluded (confidence {quality.confidence:.2f})": (
            quality.confidence < settings.min_confidence
        ),
    }
    first = next((reason for reason, true in flaws.items() if true), None)
    if first is not None:
        reasons[candidate.photo] = first
    return first is not None


def remove_copies(
    usable: Sequence[Candidate], names: Sequence[str], settings: ReferenceSettings, reasons: dict[int, str]
) -> list[Candidate]:
    kept: list[Candidate] = []
    for candidate in sorted(usable, key=lambda c: (-c.quality.overall, c.photo)):
        copy_of = next((better for better in kept if _copies(candidate, better, settings)), None)
        if copy_of is None:
            kept.append(candidate)
        else:
            reasons[candidate.photo] = f"copy of {names[copy_of.photo]}, which is better"
    return kept


def _copies(a: Candidate, b: Candidate, settings: ReferenceSettings) -> bool:
    alike = float(cosine(candidate_embeddings([a]), candidate_embeddings([b]))[0, 0])
    return alike >= settings.same_photo and hash_distance(a.fingerprint, b.fingerprint) <= settings.hash_bits


def spread(candidates: Sequence[Candidate], count: int, reasons: dict[int, str]) -> list[Candidate]:
    """Farthest-point order, weighted by quality, from the best one on; candidates come best first."""
    chosen: list[Candidate] = []
    rest = list(candidates)
    while rest and len(chosen) < count:
        worth = [_gap(c, chosen) * c.quality.overall for c in rest]
        best = rest.pop(int(np.argmax(worth)))
        pose = best.quality.pose
        view = f"yaw {pose.yaw:+.0f}, pitch {pose.pitch:+.0f} degrees"
        reasons[best.photo] = f"best quality ({view})" if not chosen else f"differs most from those before ({view})"
        chosen.append(best)
    for candidate in rest:
        reasons[candidate.photo] = f"good, but not needed: {count} others differ more"
    return chosen


def _gap(candidate: Candidate, chosen: Sequence[Candidate]) -> float:
    """To the nearest of the chosen: cosine distance and difference of pose, both about 0..1."""
    if not chosen:
        return 1.0
    distances = 1.0 - cosine(candidate_embeddings([candidate]), candidate_embeddings(chosen))[0]
    poses = [candidate.quality.pose.apart(reference.quality.pose) for reference in chosen]
    return float(np.min(distances + np.asarray(poses)))
