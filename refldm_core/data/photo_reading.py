"""Read one photo: its face as an aligned crop with an embedding, or the reason why there is none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import SettingsError
from ..face.alignment import align, crop_transform
from ..face.detection import Detector
from ..face.errors import FaceError
from ..face.identity import Recognizer, embed_crops, embed_faces
from ..face.types import Face
from ..images import to_full_tensor, to_tensor
from .build_settings import ReadingSettings
from .photo_store import Outcome


@dataclass(frozen=True, eq=False)
class Reading:
    """The result of reading a photo.

    Attributes:
        outcome, note, faces: as in `PhotoRecord`.
        crop: (3, size, size) in [-1, 1]; None where no face is usable.
        embedding: (d,) of unit length; None where no face is usable.
    """

    outcome: Outcome
    note: str = ""
    faces: int = 0
    crop: Tensor | None = None
    embedding: NDArray[np.float32] | None = None


class PhotoReader:
    """Finds, aligns and embeds the face of a photo.

    Args:
        recognizer: embeds faces.
        detector: finds faces; None is possible for aligned crops.
        settings: how faces are taken from photos.
        names: names of detector and recognizer. A later run into the same folder must use the same ones.

    Raises:
        SettingsError: there is no detector, and the photos are not aligned.
    """

    def __init__(
        self, recognizer: Recognizer, detector: Detector | None, settings: ReadingSettings, names: tuple[str, str]
    ) -> None:
        if detector is None and not settings.aligned:
            raise SettingsError(
                "There is no face detector.",
                expected="a detector, or aligned crops",
                remedy="name a detector, or use --aligned",
            )
        self.settings = settings
        self._recognizer = recognizer
        self._detector = detector
        self._names = names

    @property
    def described(self) -> dict[str, str]:
        """Everything that the result of reading a photo depends on, by name."""
        settings = self.settings
        common = {"recognizer": self._names[1], "crop size": str(settings.crop_size)}
        if settings.aligned:
            return {"detector": "none: aligned crops", **common, "least face": "-", "several faces": "-"}
        face_settings = {"least face": f"{settings.min_size:g}", "several faces": settings.several}
        return {"detector": self._names[0], **common, **face_settings}

    def read(self, image: Image.Image) -> Reading:
        """Read an RGB photo."""
        if self._detector is None or self.settings.aligned:
            crop = to_tensor(image, self.settings.crop_size)
            return Reading("face", faces=1, crop=crop, embedding=embed_crops(self._recognizer, crop[None])[0])
        faces = sorted(self._detector.detect(np.asarray(image)), key=lambda face: -face.size)
        large = [face for face in faces if face.size >= self.settings.min_size]
        if not faces:
            return Reading("no face")
        if not large:
            note = f"the largest face has {faces[0].size:.0f} of {self.settings.min_size:g} pixels"
            return Reading("too small", note, len(faces))
        if len(large) > 1 and self.settings.several == "skip":
            return Reading("several faces", f"{len(large)} faces", len(large))
        return self._read_face(to_full_tensor(image), large[0], len(large))

    def _read_face(self, picture: Tensor, face: Face, faces: int) -> Reading:
        try:
            transform = crop_transform(face.landmarks, (picture.shape[-2], picture.shape[-1]), self.settings.crop_size)
        except FaceError as error:
            return Reading("no face", error.problem, faces)
        embedding = embed_faces(self._recognizer, [picture], [face])[0]
        return Reading("face", "", faces, align(picture, transform), embedding)


def pixel_hash(image: Image.Image) -> str:
    """Return the SHA-256 of an RGB picture's size and pixels. It is the same for every lossless file format."""
    return hashlib.sha256(f"{image.width}x{image.height} ".encode() + image.tobytes()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a model file's SHA-256, by which a build recognizes it."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()[:16]
