"""Who is who in a picture."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import ReferencesError, SettingsError
from ..refldm_core.face import types as face
from ..refldm_core.face.alignment import align
from ..refldm_core.face.identity import Embeddings, Recognizer, centroid, cosine, embed_crops, embed_faces
from ..refldm_core.face.matching import (
    NOBODY,
    SAME_PERSON,
    Match,
    match_people,
    parse_assignments,
    people_of_assignments,
    with_embeddings,
    with_people,
)
from ..refldm_core.face.tracking import people_of_tracks, track_faces
from ..refldm_core.images import model_to_bhwc, u8_to_tensor
from .display import MOST_SHOWN
from .face_types import FaceRecognizer, Faces
from .images import to_model
from .matches import describe_matches
from .types import ADVANCED, CATEGORY, References, ReferenceSet, growing_inputs, grown_values, where_supported

_PERSON_SOCKETS = tuple(f"person_{i}" for i in range(2, 21))


class MatchPeople(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReFLDM_MatchPeople",
            category=CATEGORY,
            display_name="Match People",
            description="Gives each face of a group photo or video the references of its own person, by ArcFace "
            "similarity. What a person looks like is taken from the small pictures in the references, saved ones too.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["who is who", "identify faces", "group photo", "several people", "face id"],
            ),
            inputs=[
                io.Image.Input("image", tooltip="The photos or frames in which the faces were found."),
                Faces.Input("faces", tooltip="From Detect Faces."),
                FaceRecognizer.Input("face_recognizer", tooltip="From Load Face Recognizer."),
                References.Input("person_1", tooltip="From Encode References or Load References; several people too."),
                io.String.Input(
                    "names",
                    default="",
                    tooltip="Name the people in the order of their sockets, with commas between, such as Anna, Ben. "
                    "The report and assignments use these names.",
                ),
                io.Float.Input(
                    "threshold",
                    default=SAME_PERSON,
                    min=-1.0,
                    max=1.0,
                    step=0.005,
                    tooltip="Set the least similarity of a face to its person. 0.25 to 0.3 serves degraded photos in "
                    "which everybody is known.",
                ),
                io.Boolean.Input(
                    "repeats",
                    default=False,
                    tooltip="Allow two faces of one picture to be the same person, as in mirrors and collages.",
                    **ADVANCED,
                ),
                io.Combo.Input(
                    "strangers",
                    options=["leave", "restore"],
                    default="leave",
                    tooltip="Choose what happens to faces that match nobody: leave them as they are, or restore them "
                    "without references.",
                ),
                *growing_inputs(
                    "more_people",
                    _PERSON_SOCKETS,
                    References,
                    "Connect another person, or several from Batch References.",
                ),
                io.String.Input(
                    "assignments",
                    default="",
                    optional=True,
                    tooltip="Say who faces are, where the face recognizer is wrong: the number that this node shows at "
                    'the face, and a name, or nobody, such as "2: Anna, 3: nobody". Other faces keep the person that '
                    "was recognized.",
                ),
            ],
            outputs=[
                Faces.Output(display_name="faces", tooltip="With their people; strangers that are left are not here."),
                io.Image.Output(display_name="crops", tooltip="Of these faces."),
                References.Output(display_name="references", tooltip="The person of each of these faces."),
                io.String.Output(display_name="report", tooltip="Who each face is, and how similar."),
            ],
        )

    @classmethod
    def validate_inputs(cls, assignments: str | None = "", more_people: object = None) -> bool | str:
        try:  # the host passes the group more_people to every function
            parse_assignments(assignments or "")  # None is what another node will give
        except SettingsError as error:
            return str(error)
        return True

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
        assignments: str = "",
        **more: Any,
    ) -> io.NodeOutput:
        images = to_model(image, "image")
        _require_pictures(images, faces)
        more_sets = grown_values("more_people", _PERSON_SOCKETS, more)
        sets = [*person_1, *(person for people in more_sets for person in people)]
        people = dict(zip(_names(names, len(sets)), sets, strict=True))
        assigned = people_of_assignments(parse_assignments(assignments), list(people), len(faces))
        embeddings = embed_faces(face_recognizer, list(images), faces.faces)
        centroids = {name: _centroid(face_recognizer, person, name) for name, person in people.items()}

        def matched(by_hand: Mapping[int, str | None]) -> tuple[list[face.Face], list[Match]]:
            frames = [item.frame for item in faces.faces]
            matches = match_people(
                embeddings, frames, centroids, threshold=threshold, repeats=repeats, assigned=by_hand
            )
            named = with_people(with_embeddings(faces.faces, embeddings), matches)
            if any(item.track is not None for item in named):
                # Once more, now that faces are known: they find each other again after a gap.
                named = _along_tracks(people_of_tracks(track_faces(named)), by_hand)
            return named, matches

        named, matches = matched(assigned)
        recognized = matched({})[0] if assigned else named
        report = "\n".join(
            f"picture {item.frame + 1}, face at {item.center[0]:.0f}, {item.center[1]:.0f}: "
            f"{item.person or NOBODY} ({match.similarity:.2f})"
            for item, match in zip(named, matches, strict=True)
        )
        shown = describe_matches(
            _crops(images, faces, MOST_SHOWN),
            named,
            [item.person for item in recognized],
            people,
            cosine(embeddings, np.stack(list(centroids.values()))) if len(faces) else np.zeros((0, len(people))),
            cls,
        )
        restored_faces = faces.with_faces(named)
        if strangers == "leave":
            restored_faces = restored_faces.select([i for i, item in enumerate(named) if item.person is not None])
        references = tuple(None if item.person is None else people[item.person] for item in restored_faces.faces)
        crops = model_to_bhwc(_crops(images, restored_faces))
        return io.NodeOutput(restored_faces, crops, references, report, ui=shown)


def _along_tracks(faces: Sequence[face.Face], assigned: Mapping[int, str | None]) -> list[face.Face]:
    """Who a face is by hand, it is in every frame of its track."""
    by_track = {faces[i].track: name for i, name in assigned.items() if faces[i].track is not None}
    by_hand = [by_track.get(item.track, item.person) for item in faces]
    return [replace(item, person=assigned.get(i, by_hand[i])) for i, item in enumerate(faces)]


def _names(text: str, count: int) -> list[str]:
    """Names of the people, numbers for those that have none."""
    written_names = [name.strip() for name in text.split(",") if name.strip()]
    names = [*written_names[:count], *(f"person {i + 1}" for i in range(len(written_names), count))]
    if len(written_names) > count or len(set(names)) != count:
        raise SettingsError(
            f'"{text}" does not name {count} people.',
            expected="at most one name for each person, all different",
            remedy="write for instance Anna, Ben, Cem, or nothing",
        )
    return names


def _centroid(recognizer: Recognizer, person: ReferenceSet, name: str) -> Embeddings:
    if person.thumbnails is None:
        raise ReferencesError(
            f"The references of {name} hold no pictures by which to recognize them.",
            expected="references from Encode References, or saved with pictures",
            remedy="encode the photos again, or save them with pictures switched on",
        )
    return centroid(embed_crops(recognizer, u8_to_tensor(person.thumbnails)))


def _crops(images: Tensor, faces: face.Faces, most: int | None = None) -> Tensor:
    """(faces, 3, size, size) in [-1, 1], of the first faces where there are more than `most`."""
    size = max((transform.crop_size for transform in faces.transforms), default=512)
    placed = zip(faces.faces[:most], faces.transforms[:most], strict=True)
    crops = [align(images[item.frame], transform) for item, transform in placed]
    return torch.stack(crops) if crops else images.new_zeros(0, 3, size, size)


def _require_pictures(images: Tensor, faces: face.Faces) -> None:
    sizes = ((images.shape[-2], images.shape[-1]),) * len(images)
    if sizes != faces.image_sizes:
        raise SettingsError(
            f"The faces were found in {len(faces.image_sizes)} other pictures than these {len(sizes)}.",
            expected="the pictures in which the faces were found",
            remedy="connect the same pictures to Detect Faces and to this node",
        )
