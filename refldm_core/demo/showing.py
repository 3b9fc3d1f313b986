"""What the demo shows: the group photo restored, and each face with no, a wrong person's and its own references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .. import embedded
from ..checkpoints.building import load_model
from ..checkpoints.faces import load_detector, load_recognizer
from ..face.alignment import align_faces
from ..face.detection import DetectionSettings, SearchingDetector
from ..face.identity import ArcFaceRecognizer, cosine, embed_crops
from ..face.references import ChosenReferences, ReferenceSettings, select_references
from ..face.tracking import face_seed
from ..face.types import Face
from ..images import resize, round_to_u8, u8_to_tensor
from ..photos import Person, PhotoRestorer, PhotoSettings, RestoredPhoto
from ..pipeline import Restorer, SamplingSettings
from ..progress import OnStep, ignore_steps
from .story import Picture, Story

COLUMNS = ("LQ", "no references", "wrong person's", "own references", "truth")

REFERENCES = 3
SAMPLING = SamplingSettings(steps=20, sampler="dpmpp_2m")
SAME_SHARP = 0.8
"""Cosine similarity of two sharp pictures of one drawn person to the embedded recognizer: 0.9 or more; of two people
who look alike up to 0.8."""
SAME_DEGRADED = -1.0
"""Little is left to recognize in the degraded photo, but everybody in it has an album: the most alike will do."""


@dataclass(frozen=True, eq=False)
class Networks:
    """The embedded models."""

    restorer: Restorer
    detector: SearchingDetector
    recognizer: ArcFaceRecognizer


@dataclass(frozen=True, eq=False)
class Row:
    """One person's face of the group photo.

    Attributes:
        name: who it is.
        matched: for whom it was taken, None for nobody.
        references: (n, 3, 512, 512) in [-1, 1], the person's own.
        tiles: (3, crop, crop) in [-1, 1], one for each of `COLUMNS`.
        similarities: cosine similarity of each tile to the truth.
    """

    name: str
    matched: str | None
    references: Tensor
    tiles: tuple[Tensor, ...]
    similarities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Shown:
    """What became of a story.

    Attributes:
        chosen: each person's references.
        photo: the group photo restored.
        rows: one for each person whose face was found, in the story's order.
    """

    chosen: Mapping[str, ChosenReferences]
    photo: RestoredPhoto
    rows: tuple[Row, ...]


def load_networks() -> Networks:
    """The embedded models on the CPU, where they give the same pictures everywhere.

    Raises:
        CheckpointError: one is missing.
        MissingPackageError: facexlib or onnxruntime is not installed.
    """
    model = load_model(embedded.require(embedded.RESTORER))
    # Nobody is small or lies on their side in the drawn photos.
    detector = load_detector("embedded", embedded.FOLDER, DetectionSettings(smallest=40.0, turns=(0,)))
    restorer = Restorer(model.unet, model.first_stage, model.spec)
    return Networks(restorer, detector, load_recognizer(embedded.RECOGNIZER))


def choose(story: Story, networks: Networks) -> dict[str, ChosenReferences]:
    """Each person's best photos.

    Raises:
        ReferencesError: an album without a usable photo.
    """
    # Drawn portraits resemble each other more than photos do: fewer bits may differ in a copy.
    settings = ReferenceSettings(count=REFERENCES, same_person=SAME_SHARP, hash_bits=4)
    return {
        name: select_references(
            ((file, to_tensor(picture)) for file, picture in album.items()),
            networks.detector,
            networks.recognizer,
            settings,
        )
        for name, album in story.albums.items()
    }


def show(
    story: Story,
    networks: Networks,
    chosen: Mapping[str, ChosenReferences],
    seed: int,
    on_step: OnStep = ignore_steps,
) -> Shown:
    """Restore the group photo, and its faces once more in other ways.

    Args:
        story: what to restore.
        networks: with which models.
        chosen: with which references.
        seed: of the initial noise.
        on_step: called after each sampling step.

    Raises:
        FaceError: no face was found.
    """
    restorer = networks.restorer
    people = {
        name: Person(restorer.encode_references(resize(one.crops, restorer.spec.crop_size)), one.centroid)
        for name, one in chosen.items()
    }
    settings = PhotoSettings(
        order="left to right",
        threshold=SAME_DEGRADED,
        strangers="restore",
        sampling=SAMPLING,
        seed=seed,
        batch=len(people),
    )
    photos = PhotoRestorer(restorer, networks.detector, people, recognizer=networks.recognizer, settings=settings)
    lq = to_tensor(story.lq)
    photo = photos.restore(lq, on_step)
    found = _who_is_where(story, photo.faces)
    faces = [photo.faces[i] for i in found.values()]
    size = restorer.spec.crop_size
    crops = align_faces([lq], faces, size)[1]
    truth = align_faces([to_tensor(story.truth)], faces, size)[1]
    seeds = [face_seed(seed, photo.faces[i], i) for i in found.values()]
    names = list(people)
    wrong = [people[names[(names.index(name) + 1) % len(names)]].references for name in found]
    own = [people[name].references for name in found]
    tried = [*[None] * len(faces), *wrong, *own]
    restored = restorer.restore(crops.repeat(3, 1, 1, 1), tried, seeds * 3, SAMPLING, on_step)
    columns = [crops, *restored.chunk(3), truth]
    embeddings = [embed_crops(networks.recognizer, column) for column in columns]
    rows = tuple(
        Row(
            name,
            face.person,
            chosen[name].crops,
            tuple(column[i] for column in columns),
            tuple(float(cosine(each[i : i + 1], embeddings[-1][i : i + 1])[0, 0]) for each in embeddings),
        )
        for i, (name, face) in enumerate(zip(found, faces, strict=True))
    )
    return Shown(chosen, photo, rows)


def to_tensor(picture: Picture) -> Tensor:
    """(height, width, 3) uint8 -> (3, height, width) in [-1, 1]."""
    return u8_to_tensor(torch.tensor(picture).movedim(-1, 0))


def to_picture(image: Tensor) -> Picture:
    """(3, height, width) in [-1, 1] -> (height, width, 3) uint8."""
    return round_to_u8(image).movedim(0, -1).contiguous().numpy()


def _who_is_where(story: Story, faces: Sequence[Face]) -> dict[str, int]:
    """Name -> index of the face at that person's place, for those who were found."""
    found: dict[str, int] = {}
    for name, points in zip(story.albums, story.landmarks, strict=True):
        eyes = float(np.linalg.norm(points[1] - points[0]))
        off = [float(np.linalg.norm((face.landmarks.points - points).mean(axis=0))) for face in faces]
        nearest = int(np.argmin(off)) if off else -1
        if nearest >= 0 and off[nearest] < eyes:
            found[name] = nearest
    return found
