"""Choice of reference photos: good photos of one person that differ from each other as much as possible."""

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
from .reference_rules import ReferenceSettings, choose_different, has_flaw, keep_person, remove_copies
from .types import Face


@dataclass(frozen=True)
class Verdict:
    """The decision about a photo.

    Attributes:
        photo: Name of the photo.
        chosen: Whether the photo was chosen as a reference.
        reason: Reason for the decision, as text.
    """

    photo: str
    chosen: bool
    reason: str

    def __str__(self) -> str:
        return f"{'kept   ' if self.chosen else 'dropped'} {self.photo}: {self.reason}"


@dataclass(frozen=True, eq=False)
class ChosenReferences:
    """The references of one person.

    Attributes:
        names: Names of the chosen photos. The photo of the best quality comes first.
        crops: (n, 3, 512, 512) in [-1, 1], in the same order.
        faces: The person's faces in these photos, in the same order.
        centroid: (d,) mean embedding of all usable photos of the person, including those that were not chosen.
        verdicts: One verdict for each photo, in the order of the photos.
    """

    names: tuple[str, ...]
    crops: Tensor
    faces: tuple[Face, ...]
    centroid: Embeddings
    verdicts: tuple[Verdict, ...]

    @property
    def report(self) -> str:
        """The verdicts as text, one line for each photo."""
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
    """Choose references of one person from photos, which may also show other people.

    Args:
        photos: Names and pictures (3, height, width) in [-1, 1]. They are read one after the other.
        detector: Finds the faces.
        recognizer: Recognizes the person.
        settings: Requirements for references. None for the defaults.
        parser: Measures occlusion. Without a parser, only a low confidence of the detector indicates occlusion.
        person: (d,) embedding of the person, of unit length. None for the person in most photos.

    Returns:
        The references, and a verdict on every photo.

    Raises:
        ReferencesError: No photo is usable. The message contains the verdicts.
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
    """Choose references from detected faces (see `select_references`).

    Args:
        names: Names of all photos.
        candidates: Faces of all photos.
        settings: Requirements for references. None for the defaults.
        person: (d,) embedding of the person, of unit length. None for the person in most photos.
    """
    settings = settings or ReferenceSettings()
    reasons: dict[int, str] = dict.fromkeys(range(len(names)), "no face found")
    same_person = keep_person(candidates, settings, person, reasons)
    usable = [candidate for candidate in same_person if not has_flaw(candidate, settings, reasons)]
    originals = remove_copies(usable, names, settings, reasons)
    chosen = choose_different(originals, settings.count, reasons)
    chosen_photos = {candidate.photo for candidate in chosen}
    verdicts = tuple(Verdict(name, i in chosen_photos, reasons[i]) for i, name in enumerate(names))
    if not chosen:
        raise ReferencesError(
            "None of the photos can serve as a reference.\n" + "\n".join(str(verdict) for verdict in verdicts),
            expected="at least one sharp, uncovered photo of the person's face",
            remedy="add better photos, or lower the limits",
        )
    return ChosenReferences(
        tuple(names[candidate.photo] for candidate in chosen),
        torch.stack([candidate.crop for candidate in chosen]),
        tuple(candidate.face for candidate in chosen),
        centroid(candidate_embeddings(usable)),
        verdicts,
    )
