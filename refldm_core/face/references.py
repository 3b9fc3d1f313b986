"""Choosing reference photos: one person, each photo worth having, as different from each other as can be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ReferencesError
from .candidates import Candidate, candidate_embeddings, find_candidates
from .detection import Detector
from .identity import Embeddings, Recognizer, centroid
from .parsing import FaceParser
from .reference_rules import ReferenceSettings, has_flaw, keep_person, remove_copies, spread
from .types import Face


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
    same = keep_person(candidates, settings, person, reasons)
    usable = [c for c in same if not has_flaw(c, settings, reasons)]
    different = remove_copies(usable, names, settings, reasons)
    chosen = spread(different, settings.count, reasons)
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
        centroid(candidate_embeddings(usable)),
        verdicts,
    )
