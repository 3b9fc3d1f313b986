"""Restore the faces of whole photos, from tensors to tensors: detect, match, align, restore, paste."""

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
    """A person with reference photos.

    Attributes:
        references: The keys and values of the photos.
        centroid: The mean of the photos' embeddings, (d,). None where no recognizer was used.
    """

    references: ReferenceKV
    centroid: Embeddings | None = None


@dataclass(frozen=True)
class PhotoSettings:
    """Settings for choosing, matching, restoring and pasting the faces of a photo.

    Attributes:
        order, indices, count, min_size, min_score, when_empty: See `select_faces`.
        threshold: Least cosine similarity of a face to a person for a match.
        repeats: Whether two faces of one photo may match the same person.
        strangers: How to treat a face that matches nobody: "leave" it unchanged or "restore" it without references.
        sampling: Settings for sampling the faces.
        seed: Seed of the first face. The seeds of the other faces are derived from it.
        paste: Settings for pasting the faces back.
        batch: Number of faces that are restored together. A larger batch needs more memory and gives the same pictures.

    Raises:
        SettingsError: `batch` is below 1.
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

    def select(self, faces: Faces) -> Faces:
        """Return the faces that these settings choose. Errors are those of `select_faces`."""
        return select_faces(
            faces,
            order=self.order,
            indices=self.indices,
            count=self.count,
            min_size=self.min_size,
            min_score=self.min_score,
            when_empty=self.when_empty,
        )


def _keep_colors(crops: Tensor) -> Tensor:
    return crops


class Canvas(NamedTuple):
    """The picture that restored faces are pasted into. It may differ from the sRGB picture that the networks see.

    Attributes:
        image: (3, height, width) in [-1, 1], in any color space. It has the size of the networks' picture.
        from_srgb: Converts crops (batch, 3, height, width) from sRGB to the color space of the canvas.
        opacity: (height, width) in [0, 1]. Pixels with opacity 0 do not change. None means 1 everywhere.
    """

    image: Tensor
    from_srgb: Callable[[Tensor], Tensor] = _keep_colors
    opacity: Tensor | None = None


class RestoredPhoto(NamedTuple):
    """The result of restoring a photo.

    Attributes:
        image: (3, height, width) in [-1, 1]. Outside the restored faces it is bit-identical to the photo or its canvas.
        mask: (height, width) in [0, 1], how much of each pixel comes from restored faces.
        faces: The restored faces, with the person that each was matched to.
        detected_count: Number of faces that the detector found.
    """

    image: Tensor
    mask: Tensor
    faces: tuple[Face, ...]
    detected_count: int


class PhotoRestorer:
    """Restores photos with one set of models and people.

    Args:
        restorer: Restores aligned faces.
        detector: Finds the faces.
        people: Name -> person. With a recognizer, each face is matched to the person that it resembles. Without one
            there can be at most one person, and every selected face is restored as that person.
        recognizer: Computes the embeddings that tell people apart. None without matching.
        parser: Limits pasting to the face and hair. None pastes the whole shape of the crop.
        settings: None uses the default settings.

    Raises:
        SettingsError: There are several people without a recognizer, or a person without a mean embedding.
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
        without_centroid = [name for name, person in people.items() if person.centroid is None]
        if recognizer is not None and without_centroid:
            raise SettingsError(
                f"The recognizer cannot match {without_centroid[0]}, who has no mean embedding.",
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
            on_step: Called after each sampling step of each batch of faces.
            canvas: The picture to paste the faces into. None uses `image`.

        Raises:
            FaceError: No face was found or chosen, and `when_empty` is "error".
        """
        settings = self.settings
        detected = self.detector.detect(round_to_u8(image.cpu()).movedim(0, -1).contiguous().numpy())
        size, crop_size = (image.shape[-2], image.shape[-1]), self.restorer.spec.crop_size
        transforms = [crop_transform(face.landmarks, size, crop_size) for face in detected]
        detected_faces = Faces(tuple(detected), tuple(transforms), (size,))
        chosen = settings.select(detected_faces)
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
        """Match the faces to people. Leave out faces of strangers unless the settings restore them."""
        if self.recognizer is None:
            only_person = next(iter(self.people), None)
            return faces.with_faces([replace(face, person=only_person) for face in faces.faces])
        embeddings = embed_faces(self.recognizer, [image], faces.faces)
        centroids = {name: person.centroid for name, person in self.people.items() if person.centroid is not None}
        matches = match_people(
            embeddings,
            [face.frame for face in faces.faces],
            centroids,
            threshold=self.settings.threshold,
            repeats=self.settings.repeats,
        )
        matched = faces.with_faces(with_people(with_embeddings(faces.faces, embeddings), matches))
        if self.settings.strangers == "restore":
            return matched
        return matched.select([i for i, face in enumerate(matched.faces) if face.person is not None])

    def _restore_crops(self, crops: Tensor, faces: Sequence[Face], on_step: OnStep) -> Tensor:
        settings = self.settings
        restored: list[Tensor] = []
        for start in range(0, len(faces), settings.batch):
            indices = range(start, min(start + settings.batch, len(faces)))
            references = [self._references(faces[i]) for i in indices]
            seeds = [face_seed(settings.seed, faces[i], i) for i in indices]
            batch = crops[indices.start : indices.stop]
            restored.append(self.restorer.restore(batch, references, seeds, settings.sampling, on_step).to(crops))
        return torch.cat(restored)

    def _references(self, face: Face) -> ReferenceKV | None:
        return None if face.person is None else self.people[face.person].references
