"""References from photos, and who is who in a picture."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import ReferencesError, SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.alignment import align
from ..refldm_core.face.detection import DetectionSettings, SearchingDetector
from ..refldm_core.face.identity import Embeddings, Recognizer, centroid, embed_crops, embed_faces
from ..refldm_core.face.matching import SAME_PERSON, match_people, with_embeddings, with_people
from ..refldm_core.face.references import ReferenceSettings, select_references
from ..refldm_core.face.tracking import people_of_tracks, track_faces
from ..refldm_core.images import model_to_bhwc, resize, u8_to_tensor
from .face_types import FaceDetector, FaceParser, FaceRecognizer, Faces, crop_size_input
from .images import to_model
from .types import References, ReferenceSet, schema

_PHOTO_SOCKETS = 5
_PERSON_SOCKETS = 6


class SelectReferences(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        more = [
            io.Image.Input(f"photos_{i}", optional=True, tooltip="More photos, of any size.")
            for i in range(2, _PHOTO_SOCKETS + 1)
        ]
        return schema(
            "SelectReferences",
            display_name="Select References",
            description="Chooses reference photos: finds the person who is in most of them, drops other people, "
            "copies, blurred, tiny and covered faces, and takes the best that differ most.",
            search_aliases=["reference photos", "choose photos", "best faces", "align references"],
            # A list of pictures of different sizes is one set of photos, not one run for each.
            is_input_list=True,
            inputs=[
                io.Image.Input(
                    "photos", tooltip="Whole photos of one person, among others perhaps: one, a batch or a list."
                ),
                FaceDetector.Input("face_detector", tooltip="From Load Face Detector."),
                FaceRecognizer.Input("face_recognizer", tooltip="From Load Face Recognizer."),
                io.Int.Input(
                    "count", default=5, min=1, max=32, tooltip="References at most. The model was trained with up to 5."
                ),
                io.Float.Input(
                    "same_person",
                    default=SAME_PERSON,
                    min=-1.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Cosine similarity above which two photos show one person.",
                ),
                io.Int.Input("min_size", default=80, min=0, max=4096, tooltip="Pixels of the smallest useful face."),
                io.Float.Input(
                    "max_blur", default=0.6, min=0.0, max=1.0, step=0.01, tooltip="0 is sharp, 1 is blurred beyond use."
                ),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How sure the detector must be of a face. 0 takes its authors' value.",
                ),
                crop_size_input(),
                *more,
                FaceParser.Input(
                    "face_parser", optional=True, tooltip="Sees covered faces. Without, only the detector's doubt does."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="Aligned crops for Encode References, the best first."),
                io.String.Output(display_name="report", tooltip="Why each photo was kept or dropped."),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        photos: list[Tensor],
        face_detector: list[Any],
        face_recognizer: list[Any],
        count: list[int],
        same_person: list[float],
        min_size: list[int],
        max_blur: list[float],
        threshold: list[float],
        crop_size: list[int],
        face_parser: Sequence[Any] = (None,),
        **more: list[Tensor],
    ) -> io.NodeOutput:
        batches = [*photos, *(batch for i in range(2, _PHOTO_SOCKETS + 1) for batch in more.get(f"photos_{i}", ()))]
        # Half the size that is useful: far smaller faces are not worth the search, nor a verdict.
        search = DetectionSettings(threshold[0] or None, smallest=max(24.0, min_size[0] / 2.0))
        detector = SearchingDetector(face_detector[0], search)
        settings = ReferenceSettings(count[0], same_person=same_person[0], min_size=min_size[0], max_blur=max_blur[0])
        chosen = select_references(_photos(batches), detector, face_recognizer[0], settings, parser=face_parser[0])
        return io.NodeOutput(model_to_bhwc(resize(chosen.crops, crop_size[0])), chosen.report)


class MatchPeople(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        more = [
            References.Input(f"person_{i}", optional=True, tooltip="Another person. For more, use Batch References.")
            for i in range(2, _PERSON_SOCKETS + 1)
        ]
        return schema(
            "MatchPeople",
            display_name="Match People",
            description="Gives each face of a group photo or video the references of its own person, by ArcFace "
            "similarity. What a person looks like is taken from the small pictures in the references, saved ones too.",
            search_aliases=["who is who", "identify faces", "group photo", "several people", "face id"],
            inputs=[
                io.Image.Input("image", tooltip="The photos or frames in which the faces were found."),
                Faces.Input("faces", tooltip="From Detect Faces."),
                FaceRecognizer.Input("face_recognizer", tooltip="From Load Face Recognizer."),
                References.Input("person_1", tooltip="From Encode References or Load References; several people too."),
                io.String.Input(
                    "names", default="", tooltip="Of the people, in order, with commas between. For the report alone."
                ),
                io.Float.Input(
                    "threshold",
                    default=SAME_PERSON,
                    min=-1.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Least similarity of a face to its person. 0.25 to 0.3 serves degraded photos in which "
                    "everybody is known.",
                ),
                io.Boolean.Input(
                    "repeats",
                    default=False,
                    tooltip="Whether two faces of one picture may be the same person: mirrors, collages.",
                ),
                io.Combo.Input(
                    "strangers",
                    options=["leave", "restore"],
                    default="leave",
                    tooltip="Faces that match nobody: leave them as they are, or restore them without references.",
                ),
                *more,
            ],
            outputs=[
                Faces.Output(display_name="faces", tooltip="With their people; strangers that are left are not here."),
                io.Image.Output(display_name="crops", tooltip="Of these faces."),
                References.Output(display_name="references", tooltip="The person of each of these faces."),
                io.String.Output(display_name="report", tooltip="Who each face is, and how similar."),
            ],
        )

    @classmethod
    def execute(  # noqa: PLR0917  # the host passes inputs by name
        cls,
        image: Tensor,
        faces: face.Faces,
        face_recognizer: Recognizer,
        person_1: tuple[ReferenceSet, ...],
        names: str,
        threshold: float,
        repeats: bool,
        strangers: str,
        **more: tuple[ReferenceSet, ...],
    ) -> io.NodeOutput:
        images = to_model(image, "image")
        _require_pictures(images, faces)
        sets = [*person_1, *(one for i in range(2, _PERSON_SOCKETS + 1) for one in more.get(f"person_{i}", ()))]
        people = dict(zip(_names(names, len(sets)), sets, strict=True))
        embeddings = embed_faces(face_recognizer, list(images), faces.faces)
        matches = match_people(
            embeddings,
            [one.frame for one in faces.faces],
            {name: _centroid(face_recognizer, person, name) for name, person in people.items()},
            threshold=threshold,
            repeats=repeats,
        )
        found = with_people(with_embeddings(faces.faces, embeddings), matches)
        if any(one.track is not None for one in found):
            # Once more, now that faces are known: they find each other again after a gap.
            found = people_of_tracks(track_faces(found))
        report = "\n".join(
            f"picture {one.frame + 1}, face at {one.centre[0]:.0f}, {one.centre[1]:.0f}: "
            f"{one.person or 'nobody'} ({match.similarity:.2f})"
            for one, match in zip(found, matches, strict=True)
        )
        known = faces.with_faces(found)
        if strangers == "leave":
            known = known.select([i for i, one in enumerate(found) if one.person is not None])
        references = tuple(None if one.person is None else people[one.person] for one in known.faces)
        return io.NodeOutput(known, _crops(images, known), references, report)


def _photos(batches: Sequence[Tensor]) -> Iterator[tuple[str, Tensor]]:
    photos = (photo for batch in batches for photo in to_model(batch, "photos"))
    return ((f"photo {number}", photo) for number, photo in enumerate(photos, start=1))


def _names(text: str, count: int) -> list[str]:
    """Names of the people, numbers for those that have none."""
    given = [name.strip() for name in text.split(",") if name.strip()]
    names = [*given[:count], *(f"person {i + 1}" for i in range(len(given), count))]
    if len(given) > count or len(set(names)) != count:
        raise SettingsError(
            f'"{text}" does not name {count} people.',
            expected="at most one name for each person, all different",
            remedy="write for instance Anna, Ben, Cem, or nothing",
        )
    return names


def _centroid(recognizer: Recognizer, person: ReferenceSet, name: str) -> Embeddings:
    if person.thumbnails is None:
        raise ReferencesError(
            f"The references of {name} hold no pictures by which to recognise them.",
            expected="references from Encode References, or saved with pictures",
            remedy="encode the photos again, or save them with pictures switched on",
        )
    return centroid(embed_crops(recognizer, u8_to_tensor(person.thumbnails)))


def _crops(images: Tensor, faces: face.Faces) -> Tensor:
    size = max((transform.crop_size for transform in faces.transforms), default=512)
    crops = [align(images[one.frame], at) for one, at in zip(faces.faces, faces.transforms, strict=True)]
    return model_to_bhwc(torch.stack(crops) if crops else images.new_zeros(0, 3, size, size))


def _require_pictures(images: Tensor, faces: face.Faces) -> None:
    sizes = ((images.shape[-2], images.shape[-1]),) * len(images)
    if sizes != faces.image_sizes:
        raise SettingsError(
            f"The faces were found in {len(faces.image_sizes)} other pictures than these {len(sizes)}.",
            expected="the pictures in which the faces were found",
            remedy="connect the same pictures to Detect Faces and to this node",
        )
