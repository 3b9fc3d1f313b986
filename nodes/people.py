"""The node that finds out which person each face is."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..refldm_core.errors import ReferencesError, SettingsError
from ..refldm_core.face import types as face
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
from ..refldm_core.face.tracking import one_face_of_each_track, people_of_tracks, track_faces
from ..refldm_core.images import u8_to_tensor
from .crops import aligned_crops, crops_of
from .display import MOST_SHOWN
from .face_types import FaceRecognizer, Faces
from .images import ModelPictures, to_model
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
            "similarity. The small pictures in the references, also in saved ones, show what a person looks like.",
            **where_supported(
                has_intermediate_output=True,
                search_aliases=["who is who", "identify faces", "group photo", "several people", "face id"],
            ),
            inputs=[
                io.Image.Input("image", tooltip="Connect the photos or frames in which the faces were found."),
                Faces.Input("faces", tooltip="Connect the faces of Detect Faces."),
                FaceRecognizer.Input("face_recognizer", tooltip="Connect Load Face Recognizer."),
                References.Input(
                    "person_1",
                    tooltip="Connect a person from Encode References or Load References, or several people from Batch "
                    "References.",
                ),
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
                    tooltip="Set the lowest similarity of a face to its person. Use 0.25 to 0.3 for degraded photos in "
                    "which every face is one of your people.",
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
                    "Connect another person, or several people from Batch References.",
                ),
                io.String.Input(
                    "assignments",
                    default="",
                    optional=True,
                    tooltip="Correct the face recognizer. Write the number that this node shows at a face, and a name "
                    'or nobody, such as "2: Anna, 3: nobody". All other faces keep the person that was recognized.',
                ),
            ],
            outputs=[
                Faces.Output(
                    display_name="faces",
                    tooltip="Holds the faces with their people. If strangers is set to leave, strangers are not "
                    "among them.",
                ),
                io.Image.Output(display_name="crops", tooltip="Holds the crops of these faces, in the same order."),
                References.Output(display_name="references", tooltip="Holds the person of each of these faces."),
                io.String.Output(display_name="report", tooltip="Says who each face is, with the similarity."),
            ],
        )

    @classmethod
    def validate_inputs(cls, assignments: str | None = "", more_people: object = None) -> bool | str:
        # more_people is an argument because the host passes the group of inputs to every function.
        try:
            parse_assignments(assignments or "")  # None: another node gives the text when it runs
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
        people = dict(zip(parse_names(names, len(sets)), sets, strict=True))
        assigned = people_of_assignments(parse_assignments(assignments), list(people), len(faces))
        embeddings = embed_faces(face_recognizer, images, faces.faces)
        centroids = {name: centroid_of(face_recognizer, person, name) for name, person in people.items()}

        def match(corrections: Mapping[int, str | None]) -> tuple[list[face.Face], list[Match]]:
            frames = [item.frame for item in faces.faces]
            matches = match_people(
                embeddings, frames, centroids, threshold=threshold, repeats=repeats, assigned=corrections
            )
            named = with_people(with_embeddings(faces.faces, embeddings), matches)
            if any(item.track is not None for item in named):
                # Faces are tracked again with their people, so that a track continues after a gap.
                named = _assign_to_tracks(people_of_tracks(track_faces(named)), corrections)
            return named, matches

        named, matches = match(assigned)
        recognized = match({})[0] if assigned else named
        report = "\n".join(
            f"picture {item.frame + 1}, face at {item.center[0]:.0f}, {item.center[1]:.0f}: "
            f"{item.person or NOBODY} ({item_match.similarity:.2f})"
            for item, item_match in zip(named, matches, strict=True)
        )
        shown = one_face_of_each_track(named)[:MOST_SHOWN]
        display = describe_matches(
            list(crops_of(images, faces.select(shown))),
            shown,
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
        crop_size = max((transform.crop_size for transform in restored_faces.transforms), default=512)
        crops = aligned_crops(images, restored_faces, crop_size)
        return io.NodeOutput(restored_faces, crops, references, report, ui=display)


def _assign_to_tracks(faces: Sequence[face.Face], assigned: Mapping[int, str | None]) -> list[face.Face]:
    """Give the person that was assigned to a face by hand to all faces of its track."""
    by_track = {faces[i].track: name for i, name in assigned.items() if faces[i].track is not None}
    people = [by_track.get(item.track, item.person) for item in faces]
    return [replace(item, person=assigned.get(i, people[i])) for i, item in enumerate(faces)]


def parse_names(text: str, count: int) -> list[str]:
    """Return the names of the people; people without a name are called "person 1" and so on.

    Raises:
        SettingsError: there are more names than people, or two people have the same name.
    """
    written_names = [name.strip() for name in text.split(",") if name.strip()]
    names = [*written_names[:count], *(f"person {i + 1}" for i in range(len(written_names), count))]
    if len(written_names) > count or len(set(names)) != count:
        raise SettingsError(
            f'"{text}" does not name {count} people.',
            expected="at most one name for each person, all different",
            remedy="write names such as Anna, Ben, Cem, or leave names empty",
        )
    return names


def centroid_of(recognizer: Recognizer, person: ReferenceSet, name: str) -> Embeddings:
    """Return the mean embedding of a person's thumbnails.

    Raises:
        ReferencesError: the references hold no thumbnails.
    """
    if person.thumbnails is None:
        raise ReferencesError(
            f"The references of {name} hold no pictures by which to recognize them.",
            expected="references from Encode References, or saved with pictures",
            remedy="encode the photos again, or save the references with pictures switched on",
        )
    return centroid(embed_crops(recognizer, u8_to_tensor(person.thumbnails)))


def _require_pictures(images: ModelPictures, faces: face.Faces) -> None:
    sizes = (images.size,) * len(images)
    if sizes != faces.image_sizes:
        raise SettingsError(
            f"The faces were found in {len(faces.image_sizes)} other pictures than these {len(sizes)}.",
            expected="the pictures in which the faces were found, in their size",
            remedy="connect the same pictures to Detect Faces and to this node",
        )
