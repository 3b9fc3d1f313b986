"""One photo -> its face as an aligned crop and an embedding, or why there is none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import SettingsError
from ..face.alignment import FFHQ_SIZE, align, crop_transform
from ..face.detection import Detector
from ..face.errors import FaceError
from ..face.identity import Recognizer, embed_crops, embed_faces
from ..face.types import Face
from ..images import to_full_tensor, to_tensor
from .photo_store import Outcome

Several = Literal["largest", "skip"]


@dataclass(frozen=True)
class ReadingSettings:
    """How faces are taken from photos.

    Attributes:
        aligned: the photos are aligned crops already, as in FFHQ; no face is looked for.
        crop_size: pixels along each side of the crops.
        min_size: pixels of the face box in the photo; smaller faces do not count.
        several: of a photo with several faces, take the largest, or leave the photo out.

    Raises:
        SettingsError: a crop below 16 pixels, or a negative size.
    """

    aligned: bool = False
    crop_size: int = FFHQ_SIZE
    min_size: float = 80.0
    several: Several = "largest"

    def __post_init__(self) -> None:
        if self.crop_size < 16 or self.min_size < 0:
            raise SettingsError(
                f"Crops of {self.crop_size} pixels, faces of {self.min_size:g} and more.",
                expected="crops of 16 pixels or more, no negative size",
                remedy="leave the defaults: 512 and 80",
            )


@dataclass(frozen=True, eq=False)
class Reading:
    """What a photo shows.

    Attributes:
        outcome, note, faces: as in `PhotoRecord`.
        crop: (3, size, size) in [-1, 1]; None without a usable face.
        embedding: (d,) of unit length; None without one.
    """

    outcome: Outcome
    note: str = ""
    faces: int = 0
    crop: Tensor | None = None
    embedding: NDArray[np.float32] | None = None


class PhotoReader:
    """Finds, aligns and embeds the face of a photo.

    Args:
        recognizer: embeds.
        detector: finds faces; not needed for aligned crops.
        settings: how.
        names: of detector and recognizer, by which a build knows whether it goes on with the same ones.

    Raises:
        SettingsError: no detector for photos that are not aligned.
    """

    def __init__(
        self, recognizer: Recognizer, detector: Detector | None, settings: ReadingSettings, names: tuple[str, str]
    ) -> None:
        if detector is None and not settings.aligned:
            raise SettingsError(
                "There is no face detector.", expected="one, or aligned crops", remedy="name a detector, or --aligned"
            )
        self.settings = settings
        self._recognizer = recognizer
        self._detector = detector
        self._names = names

    @property
    def described(self) -> dict[str, str]:
        """All that a reading depends on, by name."""
        settings = self.settings
        common = {"recognizer": self._names[1], "crop size": str(settings.crop_size)}
        if settings.aligned:
            return {"detector": "none: aligned crops", **common, "least face": "-", "several faces": "-"}
        finding = {"least face": f"{settings.min_size:g}", "several faces": settings.several}
        return {"detector": self._names[0], **common, **finding}

    def read(self, image: Image.Image) -> Reading:
        """The face of an RGB photo."""
        if self._detector is None or self.settings.aligned:
            crop = to_tensor(image, self.settings.crop_size)
            return Reading("face", faces=1, crop=crop, embedding=embed_crops(self._recognizer, crop[None])[0])
        found = sorted(self._detector.detect(np.asarray(image)), key=lambda face: -face.size)
        large = [face for face in found if face.size >= self.settings.min_size]
        if not found:
            return Reading("no face")
        if not large:
            note = f"the largest face has {found[0].size:.0f} of {self.settings.min_size:g} pixels"
            return Reading("too small", note, len(found))
        if len(large) > 1 and self.settings.several == "skip":
            return Reading("several faces", f"{len(large)} faces", len(large))
        return self._taken(to_full_tensor(image), large[0], len(large))

    def _taken(self, picture: Tensor, face: Face, faces: int) -> Reading:
        try:
            transform = crop_transform(face.landmarks, (picture.shape[-2], picture.shape[-1]), self.settings.crop_size)
        except FaceError as error:
            return Reading("no face", error.problem, faces)
        embedding = embed_faces(self._recognizer, [picture], [face])[0]
        return Reading("face", "", faces, align(picture, transform), embedding)


def pixel_hash(image: Image.Image) -> str:
    """SHA-256 of an RGB picture's size and pixels: the same for every file format that loses nothing."""
    return hashlib.sha256(f"{image.width}x{image.height} ".encode() + image.tobytes()).hexdigest()


def file_hash(path: Path) -> str:
    """First 16 digits of a model file's SHA-256, to know it by."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()[:16]
