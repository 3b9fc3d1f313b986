"""Who a face is: ArcFace embeddings (arXiv 1801.07698) and how alike two of them are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import CheckpointError, NotFiniteError
from .alignment import FFHQ_SIZE, similarity, template
from .backends import metadata_of, onnx_session
from .errors import FaceError
from .types import CropTransform, Face, Faces, Landmarks5, Matrix
from .warping import warp

Embeddings = NDArray[np.float32]
"""(n, d), each row of unit length."""

ARCFACE_SIZE = 112

ARCFACE_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5, 2): where ArcFace networks expect the landmarks in a crop of 112 pixels."""

_BATCH = 32


class Recognizer(Protocol):
    """Anything that embeds faces."""

    def embed(self, crops: Tensor) -> Embeddings:
        """Crops (n, 3, 112, 112) RGB in [-1, 1], aligned to `ARCFACE_TEMPLATE`, -> (n, d) of unit length."""
        ...


class ArcFaceRecognizer:
    """A recognition file of insightface's layout (buffalo_l's w600k_r50.onnx), run by onnxruntime alone.

    Args:
        path: of the ONNX file.
        providers: of onnxruntime, best first; None for the CPU.

    Attributes:
        metadata: text that the file says of itself.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        CheckpointError: no ONNX file, or none of that layout.
    """

    def __init__(self, path: Path, providers: Sequence[str] | None = None) -> None:
        self._session: Any = onnx_session(path, providers)
        self.metadata = metadata_of(self._session)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = list(inputs[0].shape)
        if len(inputs) != 1 or len(outputs) != 1 or shape[1:] != [3, ARCFACE_SIZE, ARCFACE_SIZE]:
            raise CheckpointError(
                f"{path} is no ArcFace recognizer: its input has shape {shape} and it has {len(outputs)} outputs.",
                expected="one input of shape (n, 3, 112, 112) and one output",
                remedy="use w600k_r50.onnx of the pack buffalo_l, or glintr100.onnx of antelopev2",
            )
        self._input: str = inputs[0].name
        # Some files fix the batch at 1.
        self._batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else _BATCH

    def embed(self, crops: Tensor) -> Embeddings:
        """See `Recognizer`."""
        pictures = crops.detach().cpu().float().numpy()  # [-1, 1] is (x - 127.5) / 127.5 of 0..255
        found: list[Embeddings] = []
        for start in range(0, len(pictures), self._batch):
            part = pictures[start : start + self._batch]
            found.append(np.asarray(self._session.run(None, {self._input: np.ascontiguousarray(part)})[0]))
        return normalize(np.concatenate(found)) if found else np.zeros((0, 512), dtype=np.float32)


def embed(recognizer: Recognizer, crops: Tensor) -> Embeddings:
    """A recognizer's embeddings of crops (n, 3, 112, 112), checked: (n, d) of unit length.

    Raises:
        NotFiniteError: the network gave NaN or infinity, with which no face is similar to any other.
    """
    embeddings = recognizer.embed(crops)
    if not np.isfinite(embeddings).all():
        raise NotFiniteError(
            "The face recognizer gave values that are not finite (NaN or infinity).",
            expected="an embedding of finite numbers for each face",
            remedy="get the recognizer's file again, or choose another recognizer",
        )
    return embeddings


def embed_faces(recognizer: Recognizer, images: Sequence[Tensor], faces: Sequence[Face]) -> Embeddings:
    """Embeddings of faces, cut out of their pictures by their landmarks.

    Args:
        recognizer: of whatever kind.
        images: each (3, height, width) in [-1, 1].
        faces: with `frame` the index of their picture.

    Returns:
        (faces, d) of unit length.
    """
    crops = [_cut(images[face.frame], _arcface_from_image(face.landmarks)) for face in faces]
    return embed(recognizer, torch.stack(crops) if crops else torch.zeros(0, 3, ARCFACE_SIZE, ARCFACE_SIZE))


def embed_crops(recognizer: Recognizer, crops: Tensor) -> Embeddings:
    """Embeddings of FFHQ-aligned crops (n, 3, size, size) in [-1, 1]: (n, d) of unit length.

    For crops whose landmarks are not known any more: they lie about where the template has them.
    """
    matrix = similarity(template(crops.shape[-1] if len(crops) else FFHQ_SIZE), ARCFACE_TEMPLATE)
    cut = [_cut(crop, matrix) for crop in crops]
    return embed(recognizer, torch.stack(cut) if cut else torch.zeros(0, 3, ARCFACE_SIZE, ARCFACE_SIZE))


def published_crop(crops: Tensor, size: int = ARCFACE_SIZE) -> Tensor:
    """What the published identity loss and IDS show the recognizer of an FFHQ-aligned crop; differentiable.

    The middle seven eighths, area-averaged, with no alignment to ArcFace's template. Crops smaller than the network's
    input are enlarged bilinearly instead: averaging would only repeat their pixels.

    Args:
        crops: (n, 3, height, width) in [-1, 1].
        size: of the recognizer's input.

    Returns:
        (n, 3, size, size).
    """
    height, width = crops.shape[-2:]
    middle = crops[..., int(height * 0.0625) : int(height * 0.9375), int(width * 0.0625) : int(width * 0.9375)]
    if min(middle.shape[-2:]) >= size:
        return F.interpolate(middle, (size, size), mode="area")
    return F.interpolate(middle, (size, size), mode="bilinear", align_corners=False)


def embed_aligned(recognizer: Recognizer, crops: Tensor, faces: Faces) -> Embeddings:
    """Embeddings of FFHQ-aligned crops whose faces are known: by their landmarks, brought to the crop.

    Args:
        recognizer: of whatever kind.
        crops: (faces, 3, size, size) in [-1, 1], of any size.
        faces: whose crops these are.

    Returns:
        (faces, d) of unit length.
    """
    cut = [
        _cut(crop, _arcface_from_image(face.landmarks.transformed(_placed(transform, crop).crop_from_image)))
        for crop, face, transform in zip(crops, faces.faces, faces.transforms, strict=True)
    ]
    return embed(recognizer, torch.stack(cut) if cut else torch.zeros(0, 3, ARCFACE_SIZE, ARCFACE_SIZE))


def normalize(vectors: NDArray[Any]) -> Embeddings:
    """Rows scaled to unit length; a row of zeros stays."""
    array = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(array, axis=-1, keepdims=True)
    return (array / np.maximum(lengths, 1e-12)).astype(np.float32)


def cosine(a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
    """Cosine similarities of unit vectors: (n, d) and (m, d) -> (n, m) in [-1, 1]."""
    product = np.einsum("nd,md->nm", np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    return np.minimum(np.maximum(product, -1.0), 1.0)


def centroid(embeddings: Embeddings) -> Embeddings:
    """The direction of a person's mean embedding: (n, d) -> (d,) of unit length.

    Raises:
        FaceError: no embedding, or embeddings that cancel.
    """
    if len(embeddings):
        mean = np.asarray(embeddings, dtype=np.float64).mean(axis=0)
        if np.linalg.norm(mean) > 1e-6:
            return normalize(mean)
    raise FaceError(
        "A person has no mean embedding.",
        expected="one or more photos of the same face",
        remedy="give at least one photo in which the person's face is found",
    )


def _arcface_from_image(landmarks: Landmarks5) -> Matrix:
    # Plain least squares over all five points, as the networks were trained with.
    return similarity(landmarks.points, ARCFACE_TEMPLATE)


def _placed(transform: CropTransform, crop: Tensor) -> CropTransform:
    return transform.resized(crop.shape[-1])


def _cut(image: Tensor, matrix: Matrix) -> Tensor:
    return warp(image, matrix, (ARCFACE_SIZE, ARCFACE_SIZE)).clamp(-1.0, 1.0).cpu()
