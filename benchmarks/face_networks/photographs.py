"""Photographs of real people. dlib, which other people trained on real photographs, says where the faces are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refldm_core.errors import SettingsError
from refldm_core.face.dlib_recognizer import DlibRecognizer
from refldm_core.face.packages import import_optional
from refldm_core.face.types import Face, Landmarks5
from refldm_core.images import load_image
from refldm_core.pictures.formats import pictures_in

from .detection import KnownFaces

_PREDICTOR = "shape_predictor_68_face_landmarks.dat"
_FIVE_POINTS = (range(36, 42), range(42, 48), (30,), (48,), (54,))
"""Points of the 68 whose means are the eyes, the tip of the nose and the corners of the mouth."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph of one person, whose face dlib has found.

    Attributes:
        person: the name of the file up to its last "_".
        known: picture and face.
    """

    person: str
    known: KnownFaces

    def face(self, number: int) -> Face:
        """Return the face of the photograph with this number in a batch."""
        left, top, right, bottom = (float(value) for value in self.known.boxes[0])
        return Face((left, top, right, bottom), 1.0, Landmarks5(self.known.landmarks[0]), number)


def read_photographs(folder: Path) -> list[Photograph]:
    """Read the photographs of a folder. Photographs in which dlib does not find exactly one face are left out.

    Raises:
        MissingPackageError: dlib, or the package with its networks, is not installed.
        SettingsError: no photograph is left.
        ImageFileError: a file is damaged.
    """
    dlib: Any = import_optional("dlib", "dlib")
    detector: Any = dlib.get_frontal_face_detector()
    predictor: Any = dlib.shape_predictor(str(DlibRecognizer.files()[0].with_name(_PREDICTOR)))
    photographs: list[Photograph] = []
    for path in pictures_in(folder, subfolders=False):
        picture = np.asarray(load_image(path).convert("RGB"))
        boxes = detector(picture, 1)
        if len(boxes) != 1:
            continue
        shape: Any = predictor(picture, boxes[0])
        points = np.array([[shape.part(i).x, shape.part(i).y] for i in range(68)], dtype=np.float64)
        five = np.stack([points[list(part)].mean(axis=0) for part in _FIVE_POINTS])
        box = np.array([[boxes[0].left(), boxes[0].top(), boxes[0].right(), boxes[0].bottom()]], dtype=np.float64)
        owner = path.stem.rpartition("_")[0] or path.stem
        photographs.append(Photograph(owner, KnownFaces(picture, box, five[None])))
    if not photographs:
        raise SettingsError(
            f"{folder} has no photograph in which dlib finds one face.",
            expected="photographs of one person each, named PERSON_NUMBER.jpg",
            remedy="correct --photographs",
        )
    return photographs
