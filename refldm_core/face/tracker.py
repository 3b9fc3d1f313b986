"""Following faces from one frame of a video to the next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .findings import iou
from .identity import Embeddings, cosine, normalize
from .matching import assign
from .types import Face, Landmarks5

_MIN_SIMILARITY = 0.15  # cosine similarity; a face below it is another person, even at the same place


@dataclass
class _Track:
    number: int
    last: Face
    embedding: Embeddings | None


class Tracker:
    """Numbers the faces of video frames by tracks, one frame after the other. See `tracking.track_faces`.

    Args:
        threshold, max_gap: See `tracking.track_faces`.
    """

    def __init__(self, *, threshold: float = 0.3, max_gap: int = 15) -> None:
        self.threshold = threshold
        self.max_gap = max_gap
        self._count = 0
        self._active: list[_Track] = []

    def add(self, faces: Sequence[Face]) -> list[Face]:
        """Return the faces of one frame in the same order, with `track`. Frames must come in order."""
        if not faces:
            return []
        frame = faces[0].frame
        active = [track for track in self._active if frame - track.last.frame <= self.max_gap]
        scores = np.array([[_continuity(track, face) for track in active] for face in faces])
        pairs = dict(assign(np.reshape(scores, (len(faces), len(active))), self.threshold))
        numbered: list[Face] = []
        for row, face in enumerate(faces):
            track = active[pairs[row]] if row in pairs else _Track(self._count, face, None)
            if row not in pairs:
                self._count += 1
                active.append(track)
            track.last = face
            track.embedding = _averaged(track.embedding, face.embedding)
            numbered.append(replace(face, track=track.number))
        self._active = active
        return numbered

    def state(self) -> dict[str, Any]:
        """Return what the next frames depend on, as values for JSON."""
        tracks = [
            {
                "number": track.number,
                "frame": track.last.frame,
                "box": list(track.last.box),
                "embedding": None if track.embedding is None else [float(value) for value in track.embedding],
            }
            for track in self._active
        ]
        return {"count": self._count, "tracks": tracks}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Go on from the result of `state`."""
        self._count = int(state["count"])
        self._active = []
        for track in state["tracks"]:
            left, top, right, bottom = track["box"]
            last = Face((left, top, right, bottom), 1.0, Landmarks5(np.zeros((5, 2))), int(track["frame"]))
            embedding = None if track["embedding"] is None else np.array(track["embedding"], dtype=np.float32)
            self._active.append(_Track(int(track["number"]), last, embedding))


def _continuity(track: _Track, face: Face) -> float:
    """Return the score of a face for a track (see `tracking.track_faces`)."""
    overlap = float(iou(np.asarray(track.last.box), np.asarray([face.box]))[0])
    if track.embedding is None or face.embedding is None:
        return overlap
    similarity = float(cosine(track.embedding[None], face.embedding[None])[0, 0])
    # The embedding alone recognizes a person who moved fast or was hidden. A stranger at the same place is rejected.
    return max((overlap + similarity) / 2.0, similarity - 0.2) if similarity > _MIN_SIMILARITY else -math.inf


def _averaged(old: Embeddings | None, new: Embeddings | None) -> Embeddings | None:
    if old is None or new is None:
        return new if old is None else old
    return normalize(0.8 * old + 0.2 * new)
