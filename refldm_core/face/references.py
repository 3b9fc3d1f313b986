"""Choosing reference photos: one person, each photo worth having, as different from each other as can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ReferencesError, SettingsError
from .alignment import FFHQ_SIZE, align_faces
from .detection import Detector, to_picture
from .identity import Embeddings, Recognizer, centroid, cosine, embed_faces
from .matching import SAME_PERSON
from .parsing import FaceParser
from .quality import Quality, hash_distance, measure_quality, perceptual_hash
from .scipy_functions import average_linkage
from .types import Face


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


@dataclass(frozen=True, eq=False)
class Candidate:
    """A face found in a photo.

    Attributes:
        photo: index of the photo.
        face: with its embedding.
        crop: (3, 512, 512) in [-1, 1].
        quality: of the crop.
        fingerprint: its `perceptual_hash`.
    """

    photo: int
    face: Face
    crop: Tensor
    quality: Quality
    fingerprint: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """Why a photo was kept or dropped.

    Attributes:
        photo: its name.
        kept: whether it is a reference.
        reason: in words.
    """

    photo: str
    kept: bool
    reason: str

    def __str__(self) -> str:
        return f"{'kept   ' if self.kept else 'dropped'} {self.photo}: {self.reason}"


@dataclass(frozen=True, eq=False)
class ChosenReferences:
    """The references of one person.

    Attributes:
        names: of the chosen photos, the best first.
        crops: (n, 3, 512, 512) in [-1, 1], of the same order.
        faces: in their photos.
        centroid: (d,) mean embedding of all the person's usable photos, also of those not needed.
        verdicts: one for each photo, in the order given.
    """

    names: tuple[str, ...]
    crops: Tensor
    faces: tuple[Face, ...]
    centroid: Embeddings
    verdicts: tuple[Verdict, ...]

    @property
    def report(self) -> str:
        """A line for each photo."""
        return "\n".join(str(verdict) for verdict in self.verdicts)


def select_references(
    photos: Iterable[tuple[str, Tensor]],
    detector: Detector,
    recognizer: Recognizer,
    settings: ReferenceSettings | None = None,
    *,
    parser: FaceParser | None = None,
    person: Embeddings | None = None,
) -> ChosenReferences:
    """From photos of a person, among others perhaps, choose the references.

    Args:
        photos: names and pictures (3, height, width) in [-1, 1]; they are read one after the other.
        detector: finds the faces.
        recognizer: tells whose they are.
        settings: None for the default.
        parser: judges occlusion, if given; without one only the detector's confidence speaks of it.
        person: (d,) of unit length, whom to look for; None for whoever is in most photos.

    Returns:
        The references and a verdict on every photo.

    Raises:
        ReferencesError: no photo is left; the message holds the verdicts.
    """
    names: list[str] = []
    candidates: list[Candidate] = []
    for name, image in photos:
        candidates += find_candidates(len(names), image, detector, recognizer, parser)
        names.append(name)
    return choose_references(names, candidates, settings, person=person)


def find_candidates(
    photo: int, image: Tensor, detector: Detector, recognizer: Recognizer, parser: FaceParser | None = None
) -> list[Candidate]:
    """All faces of one photo (3, height, width) in [-1, 1], embedded and judged."""
    found = detector.detect(to_picture(image))
    faces, crops = align_faces([image.cpu()], found, FFHQ_SIZE)
    embeddings = embed_faces(recognizer, [image.cpu()], found)
    visible: list[float | None] = [None] * len(found)
    if parser is not None and found:
        visible = [float(share) for share in parser.visible(crops)]
    return [
        Candidate(
            photo,
            Face(face.box, face.score, face.landmarks, embedding=embedding),
            crop,
            measure_quality(face, crop, transform, share),
            perceptual_hash(crop),
        )
        for face, crop, transform, embedding, share in zip(
            faces.faces, crops, faces.transforms, embeddings, visible, strict=True
        )
    ]


def choose_references(
    names: Sequence[str],
    candidates: Sequence[Candidate],
    settings: ReferenceSettings | None = None,
    *,
    person: Embeddings | None = None,
) -> ChosenReferences:
    """Choose among faces already found; see `select_references`."""
    settings = settings or ReferenceSettings()
    reasons: dict[int, str] = dict.fromkeys(range(len(names)), "no face found")
    same = _of_the_person(candidates, settings, person, reasons)
    usable = [c for c in same if not _flaw(c, settings, reasons)]
    different = _without_copies(usable, names, settings, reasons)
    chosen = _spread(different, settings.count, reasons)
    kept = {c.photo for c in chosen}
    verdicts = tuple(Verdict(name, i in kept, reasons[i]) for i, name in enumerate(names))
    if not chosen:
        raise ReferencesError(
            "None of the photos can serve as a reference.\n" + "\n".join(str(verdict) for verdict in verdicts),
            expected="at least one sharp, uncovered photo of the person's face",
            remedy="add better photos, or lower the limits",
        )
    return ChosenReferences(
        tuple(names[c.photo] for c in chosen),
        torch.stack([c.crop for c in chosen]),
        tuple(c.face for c in chosen),
        centroid(_embeddings(usable)),
        verdicts,
    )


def group_people(embeddings: Embeddings, same_person: float) -> NDArray[np.int64]:
    """Number the people among faces: (n, d) of unit length -> (n,).

    Average linkage: unlike connected components it is not misled by one face that resembles two people.
    """
    return average_linkage(1.0 - cosine(embeddings, embeddings), 1.0 - same_person)


def _of_the_person(
    candidates: Sequence[Candidate], settings: ReferenceSettings, person: Embeddings | None, reasons: dict[int, str]
) -> list[Candidate]:
    """The person's face in each photo that shows them, by order of photos."""
    if not candidates:
        return []
    embeddings = _embeddings(candidates)
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


def _flaw(candidate: Candidate, settings: ReferenceSettings, reasons: dict[int, str]) -> bool:
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


def _without_copies(
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
    alike = float(cosine(_embeddings([a]), _embeddings([b]))[0, 0])
    return alike >= settings.same_photo and hash_distance(a.fingerprint, b.fingerprint) <= settings.hash_bits


def _spread(candidates: Sequence[Candidate], count: int, reasons: dict[int, str]) -> list[Candidate]:
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
    distances = 1.0 - cosine(_embeddings([candidate]), _embeddings(chosen))[0]
    poses = [candidate.quality.pose.apart(reference.quality.pose) for reference in chosen]
    return float(np.min(distances + np.asarray(poses)))


def _embeddings(candidates: Sequence[Candidate]) -> Embeddings:
    rows = [candidate.face.embedding for candidate in candidates if candidate.face.embedding is not None]
    if len(rows) != len(candidates):
        raise ReferencesError(
            "A reference candidate has no embedding.",
            expected="faces that a recognizer has seen",
            remedy="use find_candidates",
        )
    return np.stack(rows)
