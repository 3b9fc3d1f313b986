"""Restoring the faces of whole photos: detect -> match -> align -> restore -> paste, from tensors to tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .errors import SettingsError
from .face.alignment import align, crop_transform
from .face.detection import Detector
from .face.identity import Embeddings, Recognizer, embed_faces
from .face.matching import SAME_PERSON, match_people, with_embeddings, with_people
from .face.parsing import FaceParser
from .face.paste import PasteSettings, paste_faces
from .face.selection import Order, WhenEmpty, select_faces
from .face.tracking import face_seed
from .face.types import Face, Faces
from .images import round_to_u8
from .model.reference import ReferenceKV
from .pipeline import PUBLISHED_SEED, Restorer, SamplingSettings
from .progress import OnStep, ignore_steps


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody whose photos are known.

    Attributes:
        references: keys and values of the photos.
        centroid: (d,) mean embedding, None where no recognizer has seen the photos.
    """

    references: ReferenceKV
    centroid: Embeddings | None = None


@dataclass(frozen=True)
class PhotoSettings:
    """Which faces of a photo become whom, and how they are put back.

    Attributes:
        order, indices, count, min_size, min_score, when_empty: see `select_faces`.
        threshold: least cosine similarity of a face to a person.
        repeats: whether two faces of one photo may be the same person.
        strangers: what becomes of a face that matches nobody: "leave" it, or "restore" it without references.
        sampling: of the faces.
        seed: of the first face; the others get seeds of their own from it.
        paste: how to put the faces back.
        batch: faces restored at once; more need more memory and give the same pictures.
    """

    order: Order = "largest"
    indices: tuple[int, ...] | None = None
    count: int | None = None
    min_size: float = 0.0
    min_score: float = 0.0
    when_empty: WhenEmpty = "error"
    threshold: float = SAME_PERSON
    repeats: bool = False
    strangers: Literal["leave", "restore"] = "leave"
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    seed: int = PUBLISHED_SEED
    paste: PasteSettings = field(default_factory=PasteSettings)
    batch: int = 1

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise SettingsError(
                f"{self.batch} faces at once have no meaning.", expected="1 or more", remedy="leave it at 1"
            )


def _unchanged(crops: Tensor) -> Tensor:
    return crops


class Canvas(NamedTuple):
    """What restored faces are put into, where it is not the picture that networks see.

    Attributes:
        image: (3, height, width) in [-1, 1], in any color space, of the size of the picture that networks see.
        from_srgb: crops (batch, 3, height, width) in sRGB -> the same in the canvas's color space.
        opacity: (height, width) in [0, 1]: nothing changes where it is 0. None for 1 everywhere.
    """

    image: Tensor
    from_srgb: Callable[[Tensor], Tensor] = _unchanged
    opacity: Tensor | None = None


class RestoredPhoto(NamedTuple):
    """What became of a photo.

    Attributes:
        image: (3, height, width) in [-1, 1]; bit-identical to the photo, or to its canvas, outside the restored faces.
        mask: (height, width) in [0, 1], where it was changed.
        faces: that were restored, with whom they were taken for.
        found: how many faces the detector found in all.
    """

    image: Tensor
    mask: Tensor
    faces: tuple[Face, ...]
    found: int


class PhotoRestorer:
    """Restores photos with one set of models and people.

    Args:
        restorer: of aligned faces.
        detector: finds the faces.
        people: by name. With a recognizer each face gets the person that it resembles; without one there can be one
            person at most, and every selected face is taken for them.
        recognizer: tells who is who, or None.
        parser: limits pasting to the face and hair, or None for the crop's shape alone.
        settings: None for the default.

    Raises:
        SettingsError: several people without a recognizer, or a person that no recognizer has seen.
    """

    def __init__(
        self,
        restorer: Restorer,
        detector: Detector,
        people: Mapping[str, Person],
        *,
        recognizer: Recognizer | None = None,
        parser: FaceParser | None = None,
        settings: PhotoSettings | None = None,
    ) -> None:
        if len(people) > 1 and recognizer is None:
            raise SettingsError(
                f"{len(people)} people cannot be told apart without a face recognizer.",
                expected="a recognizer, or one person",
                remedy="add one, such as w600k_r50.onnx of insightface's buffalo_l",
            )
        unseen = [name for name, person in people.items() if person.centroid is None]
        if recognizer is not None and unseen:
            raise SettingsError(
                f"Nobody knows what {unseen[0]} looks like to the recognizer.",
                expected="a mean embedding for every person",
                remedy="choose the references with the same recognizer",
            )
        self.restorer = restorer
        self.detector = detector
        self.people = dict(people)
        self.recognizer = recognizer
        self.parser = parser
        self.settings = settings or PhotoSettings()

    def restore(self, image: Tensor, on_step: OnStep = ignore_steps, canvas: Canvas | None = None) -> RestoredPhoto:
        """Restore the chosen faces of one photo.

        Args:
            image: (3, height, width) in [-1, 1], sRGB.
            on_step: called after each sampling step of each batch of faces.
            canvas: what the faces are put into; None for `image`.

        Raises:
            FaceError: nothing was found or chosen, and `when_empty` is "error".
        """
        settings = self.settings
        detected = self.detector.detect(round_to_u8(image.cpu()).movedim(0, -1).contiguous().numpy())
        size, crop_size = (image.shape[-2], image.shape[-1]), self.restorer.spec.crop_size
        transforms = [crop_transform(face.landmarks, size, crop_size) for face in detected]
        found = Faces(tuple(detected), tuple(transforms), (size,))
        chosen = select_faces(
            found,
            order=settings.order,
            indices=settings.indices,
            count=settings.count,
            min_size=settings.min_size,
            min_score=settings.min_score,
            when_empty=settings.when_empty,
        )
        faces = self._recognize(image, chosen)
        canvas = canvas or Canvas(image)
        if not len(faces):
            return RestoredPhoto(canvas.image, image.new_zeros(size), (), len(detected))
        crops = torch.stack([align(image, transform) for transform in faces.transforms])
        restored = self._restore_crops(crops, faces.faces, on_step)
        masks = list(self.parser.mask(crops)) if self.parser else None
        pasted = paste_faces(
            [canvas.image],
            faces,
            canvas.from_srgb(restored),
            settings.paste,
            crop_masks=masks,
            image_masks=[canvas.opacity],
        )[0]
        return RestoredPhoto(pasted.image, pasted.mask, faces.faces, len(detected))

    def _recognize(self, image: Tensor, faces: Faces) -> Faces:
        """The faces with their people, without those that are to be left alone."""
        if self.recognizer is None:
            only = next(iter(self.people), None)
            return faces.with_faces([replace(face, person=only) for face in faces.faces])
        embeddings = embed_faces(self.recognizer, [image], faces.faces)
        centroids = {name: person.centroid for name, person in self.people.items() if person.centroid is not None}
        matches = match_people(
            embeddings,
            [face.frame for face in faces.faces],
            centroids,
            threshold=self.settings.threshold,
            repeats=self.settings.repeats,
        )
        known = faces.with_faces(with_people(with_embeddings(faces.faces, embeddings), matches))
        if self.settings.strangers == "restore":
            return known
        return known.select([i for i, face in enumerate(known.faces) if face.person is not None])

    def _restore_crops(self, crops: Tensor, faces: Sequence[Face], on_step: OnStep) -> Tensor:
        settings = self.settings
        parts: list[Tensor] = []
        for start in range(0, len(faces), settings.batch):
            part = range(start, min(start + settings.batch, len(faces)))
            references = [self._references(faces[i]) for i in part]
            seeds = [face_seed(settings.seed, faces[i], i) for i in part]
            some = crops[part.start : part.stop]
            parts.append(self.restorer.restore(some, references, seeds, settings.sampling, on_step).to(crops))
        return torch.cat(parts)

    def _references(self, face: Face) -> ReferenceKV | None:
        return None if face.person is None else self.people[face.person].references
