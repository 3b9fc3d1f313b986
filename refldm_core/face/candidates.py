"""Candidates for references: the faces of photos, with embedding and quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ReferencesError
from .alignment import FFHQ_SIZE, align_faces
from .detection import Detector, to_picture
from .identity import Embeddings, Recognizer, embed_faces
from .parsing import FaceParser
from .quality import Quality, measure_quality, perceptual_hash
from .types import Face


@dataclass(frozen=True, eq=False)
class Candidate:
    """A face that was detected in a photo.

    Attributes:
        photo: Index of the photo.
        face: The face, with its embedding.
        crop: (3, 512, 512) in [-1, 1].
        quality: Quality of the face as a reference.
        fingerprint: `perceptual_hash` of the crop.
    """

    photo: int
    face: Face
    crop: Tensor
    quality: Quality
    fingerprint: NDArray[np.bool_]


def find_candidates(
    photo: int, image: Tensor, detector: Detector, recognizer: Recognizer, parser: FaceParser | None = None
) -> list[Candidate]:
    """Detect, embed and measure all faces of one photo.

    Args:
        photo: Index of the photo.
        image: (3, height, width) in [-1, 1].
        detector: Finds the faces.
        recognizer: Embeds the faces.
        parser: Measures the visible share of each face. None leaves it unknown.
    """
    detected = detector.detect(to_picture(image))
    faces, crops = align_faces([image.cpu()], detected, FFHQ_SIZE)
    embeddings = embed_faces(recognizer, [image.cpu()], detected)
    visible: list[float | None] = [None] * len(detected)
    if parser is not None and detected:
        visible = [float(share) for share in parser.visible(crops)]
    return [
        Candidate(
            photo,
            Face(face.box, face.score, face.landmarks, embedding=embedding),
            crop,
            measure_quality(face, crop, transform, share),
            perceptual_hash(crop),
        )
        for face, crop, transform, embedding, share in zip(
            faces.faces, crops, faces.transforms, embeddings, visible, strict=True
        )
    ]


def candidate_embeddings(candidates: Sequence[Candidate]) -> Embeddings:
    """Return the embeddings of candidates: (candidates, d).

    Raises:
        ReferencesError: A candidate has no embedding.
    """
    rows = [candidate.face.embedding for candidate in candidates if candidate.face.embedding is not None]
    if len(rows) != len(candidates):
        raise ReferencesError(
            "A reference candidate has no embedding.",
            expected="faces with embeddings from a recognizer",
            remedy="use find_candidates",
        )
    return np.stack(rows)
