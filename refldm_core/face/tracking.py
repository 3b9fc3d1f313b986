"""Faces through the frames of a video: the same person keeps the same number, references and noise."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .findings import iou
from .identity import Embeddings, cosine, normalize
from .matching import assign
from .types import Face, Landmarks5

_SEED_STEP = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: neighboring tracks get seeds far apart
_SEED_MASK = 0x7FFF_FFFF_FFFF_FFFF
_STRANGER = 0.15  # cosine similarity below which even a face at the same place is somebody else


@dataclass
class _Track:
    number: int
    last: Face
    embedding: Embeddings | None


def track_faces(faces: Sequence[Face], *, least: float = 0.3, gap: int = 15) -> list[Face]:
    """Number the faces of video frames: one number for each person's way through the frames.

    A face continues a track by how much its box overlaps the last one (intersection over union) and, where embeddings
    are known, by their cosine similarity; each track goes on with one face of a frame at most (Hungarian method).

    Args:
        faces: of all frames, with `frame` the time.
        least: least mean of overlap and similarity (or overlap alone) for a face to continue a track.
        gap: frames that a face may be missing; after a gap only its embedding can find it again.

    Returns:
        The same faces in the same order, with `track` from 0.
    """
    tracks: list[_Track] = []
    numbers: dict[int, int] = {}
    for frame in sorted({face.frame for face in faces}):
        indices = [i for i, face in enumerate(faces) if face.frame == frame]
        alive = [track for track in tracks if frame - track.last.frame <= gap]
        scores = np.array([[_continuity(track, faces[i]) for track in alive] for i in indices])
        taken = dict(assign(np.reshape(scores, (len(indices), len(alive))), least))
        for row, i in enumerate(indices):
            track = alive[taken[row]] if row in taken else _Track(len(tracks), faces[i], None)
            if row not in taken:
                tracks.append(track)
            track.last = faces[i]
            track.embedding = _averaged(track.embedding, faces[i].embedding)
            numbers[i] = track.number
    return [replace(face, track=numbers[i]) for i, face in enumerate(faces)]


def smooth_landmarks(faces: Sequence[Face], strength: float) -> list[Face]:
    """Steady the landmarks of tracked faces with a one-euro filter (Casiez et al. 2012), so that crops do not tremble.

    Slow movement is smoothed most and fast movement hardly, measured by the face's own size.

    Args:
        faces: with `frame` and `track`; faces without a track stay as they are.
        strength: 0 changes nothing, as stills need; 1 smooths strongly (at rest each frame counts a twentieth).

    Returns:
        The same faces in the same order.

    Raises:
        SettingsError: a strength outside 0..1.
    """
    if not 0.0 <= strength <= 1.0:
        raise SettingsError(
            f"A smoothing of {strength} has no meaning.", expected="0..1", remedy="choose 0 for stills, 0.5 for video"
        )
    if strength == 0.0:
        return list(faces)
    smoothed = list(faces)
    tracks: defaultdict[int, list[int]] = defaultdict(list)
    for i in sorted(range(len(faces)), key=lambda i: faces[i].frame):
        track = faces[i].track
        if track is not None:
            tracks[track].append(i)
    for indices in tracks.values():
        points = [faces[i].landmarks.points for i in indices]
        steady = one_euro(points, [faces[i].frame for i in indices], strength)
        for i, value in zip(indices, steady, strict=True):
            smoothed[i] = replace(faces[i], landmarks=Landmarks5(value))
    return smoothed


def one_euro(
    points: Sequence[NDArray[np.float64]], times: Sequence[int], strength: float, *, beta: float = 3.0
) -> list[NDArray[np.float64]]:
    """Low-pass a track of landmarks with a cutoff that rises with speed.

    Args:
        points: (5, 2) pixels at each time.
        times: frame numbers, ascending.
        strength: above 0 to 1; the cutoff at rest is 0.5 cycles a frame at 0 and 0.008 at 1.
        beta: how fast the cutoff rises, in cycles a frame for a speed of one eye distance a frame.

    Returns:
        The filtered points at each time, the first unchanged.
    """
    rest = 0.5 * (0.008 / 0.5) ** strength
    value, speed = points[0], np.zeros_like(points[0])
    filtered = [value]
    for previous, now, point, before in zip(times[:-1], times[1:], points[1:], points[:-1], strict=True):
        step = float(max(1, now - previous))
        unit = max(1e-6, float(np.linalg.norm(point[1] - point[0])))
        # The paper filters the derivative with a fixed cutoff of its own.
        speed = speed + _weight(0.1, step) * ((point - before) / step - speed)
        # One cutoff for the whole face: points filtered apart would bend it.
        cutoff = rest + beta * float(np.linalg.norm(speed.mean(axis=0))) / unit
        value = value + _weight(cutoff, step) * (point - value)
        filtered.append(value)
    return filtered


def people_of_tracks(faces: Sequence[Face]) -> list[Face]:
    """Give all faces of a track the person that most of them were matched with; faces without a track stay."""
    votes: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for face in faces:
        if face.track is not None and face.person is not None:
            votes[face.track][face.person] += 1
    winner = {track: max(count, key=lambda name: count[name]) for track, count in votes.items()}
    return [face if face.track is None else replace(face, person=winner.get(face.track)) for face in faces]


def face_seed(seed: int, face: Face, position: int) -> int:
    """The noise seed of one face: that of its track, or of its position in the picture where it has none.

    The first face keeps `seed` itself, so that a single face is restored as its crop alone would be.
    """
    number = position if face.track is None else face.track
    return (seed + number * _SEED_STEP) & _SEED_MASK


def _continuity(track: _Track, face: Face) -> float:
    overlap = float(iou(np.asarray(track.last.box), np.asarray([face.box]))[0])
    if track.embedding is None or face.embedding is None:
        return overlap
    alike = float(cosine(track.embedding[None], face.embedding[None])[0, 0])
    # A person who moved fast or was away is known by the face alone; a stranger at the same place is not.
    return max((overlap + alike) / 2.0, alike - 0.2) if alike > _STRANGER else -math.inf


def _averaged(old: Embeddings | None, new: Embeddings | None) -> Embeddings | None:
    if old is None or new is None:
        return new if old is None else old
    return normalize(0.8 * old + 0.2 * new)


def _weight(cutoff: float, step: float) -> float:
    """Of the new value in an exponential filter: 1 / (1 + tau / step), tau = 1 / (2 pi cutoff)."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff * step))
