"""Tracking of faces through the frames of a video, so that a person keeps the same number, references and noise."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .tracker import Tracker
from .types import Face, Landmarks5

_SEED_STEP = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, so that the seeds of neighboring tracks are far apart
_SEED_MASK = 0x7FFF_FFFF_FFFF_FFFF

_WINDOW = 8.0
"""Deviations within which landmarks count in an average. Weights beyond are below 1e-13."""


def track_faces(faces: Sequence[Face], *, threshold: float = 0.3, max_gap: int = 15) -> list[Face]:
    """Number the faces of video frames by tracks. A track follows one person through the frames.

    The score of a face for a track is the overlap (intersection over union) of its box with the track's last box. Where
    embeddings are known, their cosine similarity counts too. The Hungarian method assigns at most one face of a frame
    to each track.

    Args:
        faces: Faces of all frames. `frame` is the number of the frame.
        threshold: Minimum score of a face that continues a track.
        max_gap: Maximum number of frames from one face of a track to its next face. After a gap, a face that has moved
            away can continue the track by its embedding only.

    Returns:
        The same faces in the same order, with `track` from 0.
    """
    tracker = Tracker(threshold=threshold, max_gap=max_gap)
    indices_at: defaultdict[int, list[int]] = defaultdict(list)
    for i, face in enumerate(faces):
        indices_at[face.frame].append(i)
    tracked = list(faces)
    for frame in sorted(indices_at):
        indices = indices_at[frame]
        for i, face in zip(indices, tracker.add([faces[i] for i in indices]), strict=True):
            tracked[i] = face
    return tracked


def indices_of_tracks(faces: Sequence[Face]) -> list[list[int]]:
    """Return the indices of the faces of each track, by frame. Faces without a track are left out."""
    tracks: defaultdict[int, list[int]] = defaultdict(list)
    for i in sorted(range(len(faces)), key=lambda i: faces[i].frame):
        track = faces[i].track
        if track is not None:
            tracks[track].append(i)
    return list(tracks.values())


def one_face_of_each_track(faces: Sequence[Face]) -> list[int]:
    """Return the index of the largest face of each track, and of all faces without a track, in ascending order."""
    largest = [max(indices, key=lambda i: faces[i].size) for indices in indices_of_tracks(faces)]
    return sorted([*largest, *(i for i, face in enumerate(faces) if face.track is None)])


def smooth_landmarks(faces: Sequence[Face], strength: float) -> list[Face]:
    """Smooth the landmarks of tracked faces with a one-euro filter (Casiez et al. 2012), so that crops do not tremble.

    Slow movement, relative to the distance between the eyes, is smoothed most. Fast movement is hardly smoothed.

    Args:
        faces: Faces with `frame` and `track`. Faces without a track do not change.
        strength: Strength of smoothing, 0..1. 0 changes nothing, which suits stills. At 1, a new frame has a weight of
            one twentieth while the face is at rest.

    Returns:
        The same faces in the same order.

    Raises:
        SettingsError: The strength is outside 0..1.
    """
    if not 0.0 <= strength <= 1.0:
        raise SettingsError(
            f"A smoothing of {strength} has no meaning.", expected="0..1", remedy="choose 0 for stills, 0.5 for video"
        )
    if strength == 0.0:
        return list(faces)
    smoothed = list(faces)
    for indices in indices_of_tracks(faces):
        points = [faces[i].landmarks.points for i in indices]
        filtered = one_euro(points, [faces[i].frame for i in indices], strength)
        for i, value in zip(indices, filtered, strict=True):
            smoothed[i] = replace(faces[i], landmarks=Landmarks5(value))
    return smoothed


def average_landmarks(faces: Sequence[Face], deviation: float) -> list[Face]:
    """Average the landmarks of tracked faces over the frames before and after, for videos that are complete.

    A line is fitted to each coordinate around each frame, with Gaussian weights in time (local linear regression,
    Cleveland 1979). Even movement stays as it is, also at the ends. `smooth_landmarks` looks at earlier frames only. It
    follows fast movement, but also the noise of a detector that errs by a tenth of the eye distance.

    Args:
        faces: Faces with `frame` and `track`. Faces without a track do not change.
        deviation: Standard deviation of the weights in frames, 0 or more. 0 changes nothing.

    Returns:
        The same faces in the same order. A jump by more than half of the eye distance, such as at a cut, stays.

    Raises:
        SettingsError: The deviation is negative.
    """
    if deviation < 0.0:
        raise SettingsError(
            f"A deviation of {deviation} frames has no meaning.", expected="0 or more", remedy="choose 2 for video"
        )
    averaged = list(faces)
    if deviation == 0.0:
        return averaged
    for indices in indices_of_tracks(faces):
        for part in _parts_without_jumps(faces, indices):
            times = np.array([faces[i].frame for i in part], dtype=np.float64)
            points = np.stack([faces[i].landmarks.points for i in part])
            first = np.searchsorted(times, times - _WINDOW * deviation)
            last = np.searchsorted(times, times + _WINDOW * deviation, side="right")
            for i, time, start, end in zip(part, times, first, last, strict=True):
                fitted = _fitted(times[start:end] - time, points[start:end], deviation)
                averaged[i] = replace(faces[i], landmarks=Landmarks5(fitted))
    return averaged


def fill_gaps(faces: Sequence[Face], longest: int = 5) -> list[Face]:
    """Add faces to frames in which the detector missed the face of a track, which would vanish for a moment.

    Args:
        faces: Faces with `frame` and `track`.
        longest: Most frames of a gap that is filled. A longer gap may show something in front of the face.

    Returns:
        All faces by frame. Box and landmarks of the new ones are interpolated. A gap stays where the face jumps by more
        than half of the eye distance within one frame, such as at a cut.
    """
    filled = list(faces)
    for indices in indices_of_tracks(faces):
        for part in _parts_without_jumps(faces, indices):
            for before, after in pairwise(faces[i] for i in part):
                if after.frame - before.frame <= longest + 1:
                    filled += [_between(before, after, frame) for frame in range(before.frame + 1, after.frame)]
    return sorted(filled, key=lambda face: face.frame)


def _between(before: Face, after: Face, frame: int) -> Face:
    """Return the face of a frame between two faces of a track."""
    share = (frame - before.frame) / (after.frame - before.frame)
    left, top, right, bottom = (a + share * (b - a) for a, b in zip(before.box, after.box, strict=True))
    points = before.landmarks.points + share * (after.landmarks.points - before.landmarks.points)
    score = min(before.score, after.score)
    return replace(before, box=(left, top, right, bottom), score=score, landmarks=Landmarks5(points), frame=frame)


def _parts_without_jumps(faces: Sequence[Face], indices: Sequence[int]) -> list[list[int]]:
    """Split the faces of a track where the face jumps by more than half of the eye distance within one frame."""
    parts = [[indices[0]]]
    for before, after in pairwise(indices):
        first, second = faces[before], faces[after]
        moved = float(np.linalg.norm((second.landmarks.points - first.landmarks.points).mean(axis=0)))
        if moved / (second.frame - first.frame) > 0.5 * first.landmarks.eye_distance:
            parts.append([])
        parts[-1].append(after)
    return parts


def _fitted(times: NDArray[np.float64], points: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    """Return the value at time 0 of the lines through points (n, 5, 2) at `times` (n,)."""
    weights = np.exp(-0.5 * (times / deviation) ** 2)
    weights /= weights.sum()
    mean = float(weights @ times)
    spread = float(weights @ (times - mean) ** 2)
    middle = np.tensordot(weights, points, axes=1)
    if spread < 1e-9:  # no other face is near
        return middle
    slope = np.tensordot(weights * (times - mean), points, axes=1) / spread
    return middle - mean * slope


def one_euro(
    points: Sequence[NDArray[np.float64]], times: Sequence[int], strength: float, *, beta: float = 3.0
) -> list[NDArray[np.float64]]:
    """Filter a track of landmarks with a low-pass whose cutoff rises with speed (one-euro filter, Casiez et al. 2012).

    Args:
        points: (5, 2) pixels at each time.
        times: Frame numbers, ascending.
        strength: Strength, 0..1. The cutoff at rest is 0.5 cycles a frame at strength 0, and 0.008 at strength 1.
        beta: Rise of the cutoff, in cycles a frame, for a speed of one eye distance a frame.

    Returns:
        The filtered points at each time. The first points are unchanged.
    """
    rest_cutoff = 0.5 * (0.008 / 0.5) ** strength
    value, speed = points[0], np.zeros_like(points[0])
    filtered = [value]
    for previous_time, time, previous, current in zip(times[:-1], times[1:], points[:-1], points[1:], strict=True):
        step = float(max(1, time - previous_time))
        unit = max(1e-6, float(np.linalg.norm(current[1] - current[0])))
        # The filter of the derivative has a fixed cutoff, as in the paper.
        speed = speed + _weight(0.1, step) * ((current - previous) / step - speed)
        # All points have one cutoff, because separate cutoffs would distort the face.
        cutoff = rest_cutoff + beta * float(np.linalg.norm(speed.mean(axis=0))) / unit
        value = value + _weight(cutoff, step) * (current - value)
        filtered.append(value)
    return filtered


def people_of_tracks(faces: Sequence[Face]) -> list[Face]:
    """Give all faces of a track the person of most of its faces. Faces without a track do not change."""
    votes: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for face in faces:
        if face.track is not None and face.person is not None:
            votes[face.track][face.person] += 1
    winner = {track: max(count, key=lambda name: count[name]) for track, count in votes.items()}
    return [face if face.track is None else replace(face, person=winner.get(face.track)) for face in faces]


def face_seed(seed: int, face: Face, position: int) -> int:
    """Return the noise seed of a face.

    Each track has its own seed. The first face gets `seed` itself, so that a single face in a picture is restored like
    its crop alone.

    Args:
        seed: Seed for the whole picture or video.
        face: The face. Its track selects the seed.
        position: Position of the face in the picture, from 0. It selects the seed of a face without a track.
    """
    number = position if face.track is None else face.track
    return (seed + number * _SEED_STEP) & _SEED_MASK


def _weight(cutoff: float, step: float) -> float:
    """Return the weight of a new value in an exponential filter: 1 / (1 + tau / step), with tau = 1 / (2 pi cutoff)."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff * step))
