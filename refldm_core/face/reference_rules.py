"""Rules that turn candidates into references: the right person, no flaws, no copies, different views.

Each rule writes the reason for its decision about a photo into `reasons`, a dict from the index of the photo to a text.
"""

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
    """Requirements for a photo to become a reference.

    Attributes:
        count: Maximum number of references. The released model takes up to 5.
        same_person: Minimum cosine similarity of two photos of one person.
        min_size: Minimum size of the face box, in pixels of the photo.
        max_blur: Maximum blur, 0..1 (see `quality.blur`).
        min_confidence: Minimum confidence of the detector, 0..1.
        min_inside: Minimum share of the crop inside the photo, 0..1.
        min_visible: Minimum share of the face that nothing covers, 0..1. Ignored without a face parser.
        same_photo: Minimum cosine similarity of two copies of one photo. Copies also satisfy `hash_bits`.
        hash_bits: Maximum number of bits, of 64, in which the perceptual hashes of two copies differ.

    Raises:
        SettingsError: The count is below 1.
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
    """Group faces by person: embeddings (n, d) of unit length -> group numbers (n,).

    Clusters are formed by average linkage. With connected components, one face that resembles two people would join
    both of them into one person.
    """
    return average_linkage(1.0 - cosine(embeddings, embeddings), 1.0 - same_person)


def keep_person(
    candidates: Sequence[Candidate], settings: ReferenceSettings, person: Embeddings | None, reasons: dict[int, str]
) -> list[Candidate]:
    """Return the face of one person in each photo that shows them, in the order of the photos.

    Args:
        candidates: Faces of all photos.
        settings: `same_person` decides who belongs to the person.
        person: (d,) embedding of the person. None for the person in most photos.
        reasons: See the module's docstring.
    """
    if not candidates:
        return []
    embeddings = candidate_embeddings(candidates)
    if person is None:
        description = "the majority"
        groups = group_people(embeddings, settings.same_person)
        photos: defaultdict[int, set[int]] = defaultdict(set)
        quality: defaultdict[int, float] = defaultdict(float)
        for group, candidate in zip(groups.tolist(), candidates, strict=True):
            photos[group].add(candidate.photo)
            quality[group] += candidate.quality.overall
        majority = max(photos, key=lambda group: (len(photos[group]), quality[group]))
        person = centroid(embeddings[groups == majority])
        is_person = groups == majority
    else:
        description = "the person"
        is_person = cosine(embeddings, person[None])[:, 0] >= settings.same_person
    similarities = cosine(embeddings, person[None])[:, 0].tolist()
    best_matches: dict[int, tuple[float, Candidate]] = {}
    for candidate, similarity, matches in zip(candidates, similarities, is_person.tolist(), strict=True):
        if matches and (candidate.photo not in best_matches or similarity > best_matches[candidate.photo][0]):
            best_matches[candidate.photo] = similarity, candidate
    for photo in {candidate.photo for candidate in candidates} - set(best_matches):
        best = max(value for c, value in zip(candidates, similarities, strict=True) if c.photo == photo)
        reasons[photo] = f"another person (similarity to {description} {best:.2f})"
    return [candidate for _, (_, candidate) in sorted(best_matches.items())]


def has_flaw(candidate: Candidate, settings: ReferenceSettings, reasons: dict[int, str]) -> bool:
    """Whether a candidate fails a requirement of the settings. The first such requirement is the reason."""
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
    first_flaw = next((reason for reason, applies in flaws.items() if applies), None)
    if first_flaw is not None:
        reasons[candidate.photo] = first_flaw
    return first_flaw is not None


def remove_copies(
    usable: Sequence[Candidate], names: Sequence[str], settings: ReferenceSettings, reasons: dict[int, str]
) -> list[Candidate]:
    """Return the best candidate of each set of copies, in order of falling quality.

    Args:
        usable: Candidates without a flaw.
        names: Names of all photos.
        settings: `same_photo` and `hash_bits` define copies.
        reasons: See the module's docstring.
    """
    originals: list[Candidate] = []
    for candidate in sorted(usable, key=lambda c: (-c.quality.overall, c.photo)):
        original = next((better for better in originals if _are_copies(candidate, better, settings)), None)
        if original is None:
            originals.append(candidate)
        else:
            reasons[candidate.photo] = f"copy of {names[original.photo]}, which is better"
    return originals


def _are_copies(a: Candidate, b: Candidate, settings: ReferenceSettings) -> bool:
    similarity = float(cosine(candidate_embeddings([a]), candidate_embeddings([b]))[0, 0])
    return similarity >= settings.same_photo and hash_distance(a.fingerprint, b.fingerprint) <= settings.hash_bits


def choose_different(candidates: Sequence[Candidate], count: int, reasons: dict[int, str]) -> list[Candidate]:
    """Choose candidates that differ from each other, by farthest-point sampling weighted with quality.

    Args:
        candidates: Candidates in order of falling quality. The first one is chosen first.
        count: Maximum number of chosen candidates.
        reasons: See the module's docstring.

    Returns:
        The chosen candidates, in the order of their choice.
    """
    chosen: list[Candidate] = []
    rest = list(candidates)
    while rest and len(chosen) < count:
        weighted_distances = [_distance(c, chosen) * c.quality.overall for c in rest]
        best = rest.pop(int(np.argmax(weighted_distances)))
        pose = best.quality.pose
        view = f"yaw {pose.yaw:+.0f}, pitch {pose.pitch:+.0f} degrees"
        reasons[best.photo] = f"best quality ({view})" if not chosen else f"differs most from those before ({view})"
        chosen.append(best)
    for candidate in rest:
        reasons[candidate.photo] = f"good, but not needed: {count} others differ more"
    return chosen


def _distance(candidate: Candidate, chosen: Sequence[Candidate]) -> float:
    """Return the distance to the nearest chosen candidate: cosine distance plus pose distance, each about 0..1."""
    if not chosen:
        return 1.0
    cosine_distances = 1.0 - cosine(candidate_embeddings([candidate]), candidate_embeddings(chosen))[0]
    pose_distances = [candidate.quality.pose.distance(reference.quality.pose) for reference in chosen]
    return float(np.min(cosine_distances + np.asarray(pose_distances)))
