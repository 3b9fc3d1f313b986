"""The demo's video: one rendered person, degraded, and restored frame by frame without and with references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..data.degradation import RANGES, degrade, draw
from ..data.degradation_kinds import Kind
from ..face.alignment import align_faces, crop_transform
from ..face.detection import Detector, detect_batch
from ..face.identity import cosine, embed_crops
from ..face.paste import PasteSettings, paste_faces
from ..face.references import ChosenReferences
from ..face.selection import select_faces
from ..face.tracking import average_landmarks, face_seed, smooth_landmarks, track_faces
from ..face.types import Face, Faces
from ..images import resize
from ..progress import OnStep, ignore_steps
from ..samples import Picture, seed_of
from ..synthetic import clip, person
from ..synthetic.clip import FACE_SHARE
from ..temporal import FRAME_BY_FRAME, TemporalSettings, restore_tracks, with_steady_colors
from .showing import SAMPLING, Networks, to_picture, to_tensor
from .video_size import FRAMES, RATE, SIDE

VIDEO_COLUMNS = ("degraded", "no references", "own references", "truth")

_SMOOTHING = 0.5
_DEVIATION = 2.0
"""Frames. Standard deviation of the averages of landmarks."""
_BATCH = 8
"""Frames that are restored at once."""


@dataclass(frozen=True, eq=False)
class Footage:
    """A true video and its degraded version: (frames, SIDE, SIDE, 3) uint8 each."""

    truth: NDArray[np.uint8]
    lq: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class RestoredVideo:
    """A restored video.

    Attributes:
        frames: for each frame, one picture for each of `VIDEO_COLUMNS`.
        similarities: for each column, the mean cosine similarity of the face to the truth.
        detected: number of frames in which the face was found. The other frames stay degraded.
    """

    frames: tuple[tuple[Picture, ...], ...]
    similarities: tuple[float, ...]
    detected: int


def film(name: str, seed: int) -> Footage:
    """Render a video of a person of the sample photos, and degrade it.

    Args:
        name: name of the person.
        seed: seed of motion, light, clothes, background and degradation. All frames are degraded alike, except for the
            noise.
    """
    truth = clip(person(seed_of(name)), seed, FRAMES, SIDE, rate=RATE).frames
    return Footage(truth, degraded_frames(truth, seed))


def degraded_frames(frames: NDArray[np.uint8], seed: int, kind: Kind = "severe") -> NDArray[np.uint8]:
    """Degrade frames (n, side, side, 3) of `synthetic.clip`. Only the noise differs between frames."""
    degradation = draw(RANGES[kind], seed)
    crop = FACE_SHARE * frames.shape[1]
    return np.stack(
        [
            degrade(frame, replace(degradation, noise_seed=degradation.noise_seed + k), crop=crop)
            for k, frame in enumerate(frames)
        ]
    )


def restore_video(
    footage: Footage,
    networks: Networks,
    chosen: ChosenReferences,
    seed: int,
    on_step: OnStep = ignore_steps,
    *,
    temporal: TemporalSettings | None = None,
) -> RestoredVideo:
    """Restore a video: track the face, steady its landmarks, use the same noise in every frame.

    Args:
        footage: the video to restore.
        networks: the models.
        chosen: references of the person.
        seed: seed of the initial noise.
        on_step: called after each sampling step.
        temporal: how frames depend on the frames before. The landmarks are then averaged over the frames before and
            after, and the colors are those of steadied crops, as in workflow 06. None restores frame by frame, with
            smoothed landmarks.

    Raises:
        FaceError: no frame shows a face.
    """
    restorer = networks.restorer
    size = restorer.spec.crop_size
    lq = [to_tensor(frame) for frame in footage.lq]
    faces = aligned_track(find_track(lq, networks.detector), lq, size, temporal=temporal is not None)
    crops = align_faces(lq, faces.faces, size)[1]
    truth = align_faces([to_tensor(frame) for frame in footage.truth], faces.faces, size)[1]
    own = restorer.encode_references(resize(chosen.crops, size))
    columns = [crops]
    pasted: list[list[Picture]] = []
    seeds = [face_seed(seed, face, 0) for face in faces.faces]
    paste = PasteSettings() if temporal is None else PasteSettings(color="none")
    for references in (None, own):
        restored = restore_tracks(
            restorer,
            crops,
            faces.faces,
            [references] * len(seeds),
            seeds,
            settings=SAMPLING,
            temporal=temporal or FRAME_BY_FRAME,
            batch=_BATCH,
            on_step=on_step,
        )
        columns.append(restored)
        colored = restored if temporal is None else with_steady_colors(restored, crops, faces.faces)
        pasted.append([to_picture(result.image) for result in paste_faces(lq, faces, colored, paste)])
    embedding = embed_crops(networks.recognizer, truth)
    similarities = [
        float(np.diagonal(cosine(embed_crops(networks.recognizer, column), embedding)).mean())
        for column in [*columns, truth]
    ]
    frames = zip(footage.lq, *pasted, footage.truth, strict=True)
    return RestoredVideo(tuple(tuple(pictures) for pictures in frames), tuple(similarities), len(faces))


def find_track(images: Sequence[Tensor], detector: Detector) -> list[Face]:
    """Return the faces of all frames, tracked.

    Args:
        images: frames (3, height, width) in [-1, 1].
        detector: any detector.
    """
    return track_faces(detect_batch(images, detector))


def aligned_track(tracked: Sequence[Face], images: Sequence[Tensor], size: int, *, temporal: bool) -> Faces:
    """Return the largest face of each frame that shows one, with steady landmarks.

    Args:
        tracked: result of `find_track`.
        images: frames (3, height, width) in [-1, 1].
        size: side of the aligned crops in pixels.
        temporal: average the landmarks over the frames before and after, as workflow 06 does, instead of smoothing them
            with the past only.
    """
    smoothed = average_landmarks(tracked, _DEVIATION) if temporal else smooth_landmarks(tracked, _SMOOTHING)
    sizes = tuple((image.shape[-2], image.shape[-1]) for image in images)
    transforms = tuple(crop_transform(face.landmarks, sizes[face.frame], size) for face in smoothed)
    return select_faces(Faces(tuple(smoothed), transforms, sizes), order="largest", count=1)
