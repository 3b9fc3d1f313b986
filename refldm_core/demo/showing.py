"""Run the demo: restore the group photo, and each face without, with a wrong person's and with its own references."""

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
from ..samples import Picture
from .story import Story

COLUMNS = ("LQ", "no references", "wrong person's", "own references", "truth")

REFERENCES = 3
SAMPLING = SamplingSettings(steps=20, sampler="dpmpp_2m")
SAME_SHARP = 0.6
"""Least cosine similarity of two sharp pictures of one rendered person for the embedded recognizer."""

SAME_DEGRADED = -1.0
"""Least cosine similarity of a degraded face and its person: none. The degraded photo shows little to recognize, but
everybody in it has an album, so that each face gets the most similar person."""


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
        name: the person whom the face shows.
        matched: the person whom recognition matched; None for nobody.
        references: (n, 3, 512, 512) in [-1, 1], references of the person.
        tiles: (3, crop, crop) in [-1, 1], one for each of `COLUMNS`.
        similarities: cosine similarity of each tile to the truth.
    """

    name: str
    matched: str | None
    references: Tensor
    tiles: tuple[Tensor, ...]
    similarities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class DemoResult:
    """The results for a story.

    Attributes:
        chosen: references of each person.
        photo: the restored group photo.
        rows: one row for each person whose face was found, in the order of the story.
    """

    chosen: Mapping[str, ChosenReferences]
    photo: RestoredPhoto
    rows: tuple[Row, ...]


def load_networks() -> Networks:
    """Load the embedded models onto the CPU, where they give the same pictures on every machine.

    Raises:
        CheckpointError: a model is missing.
        MissingPackageError: facexlib or onnxruntime is not installed.
    """
    model = load_model(embedded.require(embedded.RESTORER))
    # No face in the sample photos is small or lies on its side.
    detector = load_detector("embedded", embedded.FOLDER, DetectionSettings(smallest=60.0, turns=(0,)))
    restorer = Restorer(model.unet, model.first_stage, model.spec)
    return Networks(restorer, detector, load_recognizer(embedded.RECOGNIZER))


def choose_album_references(story: Story, networks: Networks) -> dict[str, ChosenReferences]:
    """Choose each person's best photos as references.

    Raises:
        ReferencesError: an album has no usable photo.
    """
    settings = ReferenceSettings(count=REFERENCES, same_person=SAME_SHARP)
    return {
        name: select_references(
            ((file, to_tensor(picture)) for file, picture in album.items()),
            networks.detector,
            networks.recognizer,
            settings,
        )
        for name, album in story.albums.items()
    }


def restore_story(
    story: Story,
    networks: Networks,
    chosen: Mapping[str, ChosenReferences],
    seed: int,
    on_step: OnStep = ignore_steps,
) -> DemoResult:
    """Restore the group photo, and each of its faces without, with a wrong person's and with its own references.

    Args:
        story: the photo to restore.
        networks: the models.
        chosen: references of each person.
        seed: seed of the initial noise.
        on_step: called after each sampling step.

    Raises:
        FaceError: no face was found.
    """
    restorer = networks.restorer
    people = {
        name: Person(restorer.encode_references(resize(album.crops, restorer.spec.crop_size)), album.centroid)
        for name, album in chosen.items()
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
    face_of = _locate_people(story, photo.faces)
    faces = [photo.faces[i] for i in face_of.values()]
    size = restorer.spec.crop_size
    crops = align_faces([lq], faces, size)[1]
    truth = align_faces([to_tensor(story.truth)], faces, size)[1]
    seeds = [face_seed(seed, photo.faces[i], i) for i in face_of.values()]
    names = list(people)
    wrong = [people[names[(names.index(name) + 1) % len(names)]].references for name in face_of]
    own = [people[name].references for name in face_of]
    references = [*[None] * len(faces), *wrong, *own]
    restored = restorer.restore(crops.repeat(3, 1, 1, 1), references, seeds * 3, SAMPLING, on_step)
    columns = [crops, *restored.chunk(3), truth]
    embeddings = [embed_crops(networks.recognizer, column) for column in columns]
    rows = tuple(
        Row(
            name,
            face.person,
            chosen[name].crops,
            tuple(column[i] for column in columns),
            tuple(float(cosine(column[i : i + 1], embeddings[-1][i : i + 1])[0, 0]) for column in embeddings),
        )
        for i, (name, face) in enumerate(zip(face_of, faces, strict=True))
    )
    return DemoResult(chosen, photo, rows)


def to_tensor(picture: Picture) -> Tensor:
    """Convert (height, width, 3) uint8 to (3, height, width) in [-1, 1]."""
    return u8_to_tensor(torch.tensor(picture).movedim(-1, 0))


def to_picture(image: Tensor) -> Picture:
    """Convert (3, height, width) in [-1, 1] to (height, width, 3) uint8."""
    return round_to_u8(image).movedim(0, -1).contiguous().numpy()


def _locate_people(story: Story, faces: Sequence[Face]) -> dict[str, int]:
    """Return the index of the face at each person's place, by name. People whose faces were not found are left out."""
    face_of: dict[str, int] = {}
    for name, points in zip(story.albums, story.landmarks, strict=True):
        eye_distance = float(np.linalg.norm(points[1] - points[0]))
        distances = [float(np.linalg.norm((face.landmarks.points - points).mean(axis=0))) for face in faces]
        nearest = int(np.argmin(distances)) if distances else -1
        if nearest >= 0 and distances[nearest] < eye_distance:
            face_of[name] = nearest
    return face_of
