"""The first pass over a video: find, recognize and follow the faces of all frames. No picture is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..face.detection import Detector
from ..face.identity import Embeddings, Recognizer, embed_faces
from ..face.matching import SAME_PERSON, match_people, with_embeddings, with_people
from ..face.tracker import Tracker
from ..face.tracking import average_landmarks, fill_gaps, people_of_tracks
from ..face.types import CropTransform, Face, Faces, Landmarks5
from ..images import u8_to_tensor
from .background import read_ahead
from .reading import Frame

SAVE_EVERY = 250
"""Frames after which the search hands out its state."""

SelectFaces = Callable[[Faces], Faces]
"""The faces of one frame -> those to restore."""


@dataclass(frozen=True, eq=False)
class FaceFinder:
    """The networks that find faces and tell people apart.

    Attributes:
        detector: finds the faces.
        recognizer: computes embeddings. They also help to follow a face. None without one.
        people: name -> mean embedding of each person, for matching. Empty without a recognizer.
        threshold: least cosine similarity of a face to a person for a match.
        repeats: whether two faces of one frame may match the same person.
        only_person: name of the person of every face where there is no recognizer.
    """

    detector: Detector
    recognizer: Recognizer | None = None
    people: Mapping[str, Embeddings] = field(default_factory=dict[str, Embeddings])
    threshold: float = SAME_PERSON
    repeats: bool = False
    only_person: str | None = None

    def find(self, frame: Frame) -> list[Face]:
        """Return the faces of a frame, with embeddings and people where there is a recognizer."""
        detected = self.detector.detect(frame.picture)
        faces = [replace(face, frame=frame.number, person=self.only_person) for face in detected]
        if self.recognizer is None or not faces:
            return faces
        image = u8_to_tensor(torch.as_tensor(frame.picture).movedim(-1, 0))
        embeddings = embed_faces(self.recognizer, [image], [replace(face, frame=0) for face in faces])
        numbers = [face.frame for face in faces]
        matches = match_people(embeddings, numbers, self.people, threshold=self.threshold, repeats=self.repeats)
        return with_people(with_embeddings(faces, embeddings), matches)


@dataclass(eq=False)
class DetectedFaces:
    """The faces that were found so far.

    Attributes:
        frames: number of frames that were searched.
        faces: faces with `frame`, `track` and `person`, by frame. They have no embeddings, to need little memory.
        tracker: follows the faces into the next frame.
        is_complete: whether all frames were searched.
    """

    frames: int = 0
    faces: list[Face] = field(default_factory=list[Face])
    tracker: Tracker = field(default_factory=Tracker)
    is_complete: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return everything as values for JSON, without loss."""
        rows = [
            [face.frame, face.track, face.person, face.score, list(face.box), face.landmarks.points.tolist()]
            for face in self.faces
        ]
        tracker = self.tracker.state()
        return {"frames": self.frames, "is_complete": self.is_complete, "tracker": tracker, "faces": rows}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> DetectedFaces:
        """Return the result of `as_json` as faces again."""
        detected = DetectedFaces(int(values["frames"]), is_complete=bool(values["is_complete"]))
        detected.tracker.restore_state(values["tracker"])
        for frame, track, person, score, (left, top, right, bottom), points in values["faces"]:
            box = (left, top, right, bottom)
            detected.faces.append(Face(box, score, Landmarks5(points), frame, person=person, track=track))
        return detected


def search(
    frames: Iterable[Frame],
    finder: FaceFinder,
    detected: DetectedFaces,
    save: Callable[[DetectedFaces], object] = lambda detected: None,
    on_frame: Callable[[], object] = lambda: None,
) -> None:
    """Find the faces of all frames.

    Args:
        frames: the frames that follow those in `detected`.
        finder: finds the faces of a frame.
        detected: receives the faces.
        save: called every `SAVE_EVERY` frames and at the end.
        on_frame: called after each frame.
    """
    with closing(read_ahead(frames, 2)) as decoded:
        for frame in decoded:
            tracked = detected.tracker.add(finder.find(frame))
            detected.faces += [replace(face, embedding=None) for face in tracked]
            detected.frames = frame.number + 1
            if detected.frames % SAVE_EVERY == 0:
                save(detected)
            on_frame()
    detected.is_complete = True
    save(detected)


def faces_to_restore(
    detected: Sequence[Face],
    size: tuple[int, int],
    select: SelectFaces,
    *,
    deviation: float,
    people: Sequence[str] = (),
) -> dict[int, list[Face]]:
    """Return the faces that are restored, with steady landmarks. Whole tracks are chosen, so that no face flickers.

    Args:
        detected: faces of all frames, with `frame` and `track`.
        size: (height, width) of the frames.
        select: chooses among the faces of a frame. A track is restored where it is chosen in half of its frames.
        deviation: standard deviation of the averages of landmarks, in frames. See `average_landmarks`.
        people: names of the people to restore. Each track has the person of most of its faces. Empty restores all.

    Returns:
        Number of a frame -> its faces, for frames with such faces.
    """
    faces = people_of_tracks(detected)
    votes: defaultdict[int | None, list[bool]] = defaultdict(list)
    for frame_faces in _by_frame(faces).values():
        chosen = {id(face) for face in _selected(frame_faces, size, select)}
        for face in frame_faces:
            votes[face.track].append(id(face) in chosen)
    restored = {track for track, chosen in votes.items() if 2 * sum(chosen) >= len(chosen)}
    chosen_faces = [face for face in faces if face.track in restored and (not people or face.person in people)]
    return _by_frame(average_landmarks(fill_gaps(chosen_faces), deviation))


def _selected(faces: Sequence[Face], size: tuple[int, int], select: SelectFaces) -> Sequence[Face]:
    # `select_faces` looks at boxes and scores only, so the transforms of the crops need not be known.
    unknown = CropTransform(torch.eye(2, 3, dtype=torch.float64).numpy(), 1, size)
    numbered = [replace(face, frame=0) for face in faces]
    original = {id(copy): face for copy, face in zip(numbered, faces, strict=True)}
    chosen = select(Faces(tuple(numbered), (unknown,) * len(faces), (size,)))
    return [original[id(face)] for face in chosen.faces]


def _by_frame(faces: Iterable[Face]) -> dict[int, list[Face]]:
    grouped: defaultdict[int, list[Face]] = defaultdict(list)
    for face in faces:
        grouped[face.frame].append(face)
    return dict(grouped)
