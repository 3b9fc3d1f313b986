"""The clips of the video benchmark: rendered people whom no model has seen, degraded, with the faces found in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from refldm_core.data.corpus import Picture
from refldm_core.data.degradation_kinds import Kind
from refldm_core.demo.showing import Networks, to_tensor
from refldm_core.demo.video import aligned_track, degraded_frames, find_track
from refldm_core.errors import SettingsError
from refldm_core.face.alignment import align, align_faces, crop_transform
from refldm_core.face.types import Face, Faces, Landmarks5
from refldm_core.files import atomic_write
from refldm_core.synthetic import clip, conditions, person, portrait
from refldm_core.synthetic.clip import FACE_SHARE
from refldm_core.synthetic.dataset import picture_seed

FIRST_PERSON = 950_000
"""Seed of the first person. Training and the likeness benchmark have other people."""
REFERENCES = 3
RATE = 12.0
"""Frames of a second."""


@dataclass(frozen=True, eq=False)
class TrueClip:
    """A true clip and photos of its person.

    Attributes:
        frames: (n, side, side, 3) uint8.
        landmarks: (n, 5, 2) float64 pixels.
        references: (REFERENCES, size, size, 3) uint8, aligned.
    """

    frames: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    references: NDArray[np.uint8]

    def true_crops(self, pictures: NDArray[np.uint8] | list[Picture], size: int) -> list[Tensor]:
        """Return the crops (3, size, size) of frames that are aligned by the true landmarks."""
        crops: list[Tensor] = []
        for picture, points in zip(pictures, self.landmarks, strict=True):
            transform = crop_transform(Landmarks5(points), (picture.shape[0], picture.shape[1]), size)
            crops.append(align(to_tensor(picture), transform))
        return crops


def true_clip(folder: Path, seed: int, frames: int, size: int) -> TrueClip:
    """Render the clip of a person, or read it from the folder.

    The face is about as large as a crop of `size` pixels.

    Raises:
        SettingsError: a file of the folder does not hold such a clip.
        OutputError: a file cannot be written.
    """
    path = folder / f"{seed}.npz"
    side = 2 * round(size / FACE_SHARE / 2)
    if not path.exists():
        film = clip(person(seed), seed, frames, side, rate=RATE)
        photos = [
            portrait(person(seed), conditions(picture_seed(seed, number)), size).picture
            for number in range(1, REFERENCES + 1)
        ]
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, frames=film.frames, landmarks=film.landmarks, references=np.stack(photos))
    try:
        with np.load(path) as content:
            stored_clip = TrueClip(content["frames"], content["landmarks"], content["references"])
    except (OSError, ValueError, KeyError) as error:
        raise _other_clip(path, str(error)) from error
    if stored_clip.frames.shape != (frames, side, side, 3):
        raise _other_clip(path, f"its frames have the shape {stored_clip.frames.shape}")
    return stored_clip


def _other_clip(path: Path, reason: str) -> SettingsError:
    return SettingsError(
        f"{path} holds another clip ({reason}).",
        expected="a clip of the same number of frames and model size, by the same version of the benchmark",
        remedy="name another folder as --clips",
    )


@dataclass(frozen=True, eq=False)
class Footage:
    """A degraded clip and its face.

    Attributes:
        frames: (n, side, side, 3) uint8, degraded.
        pictures: the same frames, (3, side, side) in [-1, 1] each.
        faces: the face of each frame that shows one.
        crops: (faces, 3, size, size) in [-1, 1], the crops of the degraded frames.
        true_crops: the same crops of the true frames.
    """

    frames: NDArray[np.uint8]
    pictures: list[Tensor]
    faces: Faces
    crops: Tensor
    true_crops: Tensor


@dataclass(frozen=True, eq=False)
class Degraded:
    """A degraded clip in which the face was found and tracked. The members are as in `Footage`."""

    frames: NDArray[np.uint8]
    pictures: list[Tensor]
    tracked: list[Face]

    def footage(self, truth: TrueClip, size: int, *, temporal: bool) -> Footage:
        """Align the face with landmarks that are smoothed with the past only, or averaged (`temporal`).

        Raises:
            FaceError: no frame shows a face.
        """
        faces = aligned_track(self.tracked, self.pictures, size, temporal=temporal)
        crops = align_faces(self.pictures, faces.faces, size)[1]
        true_crops = align_faces([to_tensor(frame) for frame in truth.frames], faces.faces, size)[1]
        return Footage(self.frames, self.pictures, faces, crops, true_crops)


def degraded_clip(truth: TrueClip, seed: int, kind: Kind, networks: Networks) -> Degraded:
    """Degrade a clip, and find its face in the degraded frames as the demo does."""
    frames = degraded_frames(truth.frames, seed, kind)
    pictures = [to_tensor(frame) for frame in frames]
    return Degraded(frames, pictures, find_track(pictures, networks.detector))
