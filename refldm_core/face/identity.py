"""Identity of faces: ArcFace embeddings (arXiv 1801.07698) and their similarity."""

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
from ..out_of_memory import Parts
from .alignment import FFHQ_SIZE, similarity, template
from .errors import FaceError
from .onnx_files import input_shape, metadata_of, onnx_session, running
from .types import Face, Faces, Landmarks5, Matrix
from .warping import warp

Embeddings = NDArray[np.float32]
"""(n, d), each row of unit length."""

ARCFACE_SIZE = 112

ARCFACE_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5, 2): positions at which ArcFace networks expect the landmarks in a crop of 112 pixels."""

_BATCH_SIZE = 32


class Recognizer(Protocol):
    """A network that embeds faces."""

    def embed(self, crops: Tensor) -> Embeddings:
        """Embed crops (n, 3, 112, 112) RGB in [-1, 1], aligned to `ARCFACE_TEMPLATE`: (n, d) of unit length."""
        ...


class ArcFaceRecognizer:
    """A recognizer from an ONNX file of insightface's layout, such as buffalo_l's w600k_r50.onnx.

    onnxruntime runs the file. The package insightface is not needed.

    Args:
        path: Path of the ONNX file.
        providers: Execution providers of onnxruntime, in order of preference. None for the CPU.

    Attributes:
        metadata: Custom metadata of the file.

    Raises:
        MissingPackageError: onnxruntime is not installed.
        CheckpointError: The file is missing, is not an ONNX file, or has another layout.
    """

    def __init__(self, path: Path, providers: Sequence[str] | None = None) -> None:
        self._session: Any = onnx_session(path, providers)
        self.metadata = metadata_of(self._session, path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = input_shape(self._session)
        if len(inputs) != 1 or len(outputs) != 1 or shape[1:] != [3, ARCFACE_SIZE, ARCFACE_SIZE]:
            raise CheckpointError(
                f"{path} is not an ArcFace recognizer: its input has shape {shape} and it has {len(outputs)} outputs.",
                expected="one input of shape (n, 3, 112, 112) and one output",
                remedy="use w600k_r50.onnx of the pack buffalo_l, or glintr100.onnx of antelopev2",
            )
        self._path = path
        self._input: str = inputs[0].name
        # Some files fix the batch size at 1.
        self._batch_size = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else _BATCH_SIZE

    def embed(self, crops: Tensor) -> Embeddings:
        """See `Recognizer`."""
        pictures = crops.detach().cpu().float().numpy()  # [-1, 1] equals the network's own (x - 127.5) / 127.5
        if not len(pictures):
            return np.zeros((0, 512), dtype=np.float32)

        def run(part: slice) -> Embeddings:
            return self._run(np.ascontiguousarray(pictures[part]))

        return normalize(np.concatenate(Parts("recognize {} faces", self._batch_size).run(run, len(pictures))))

    def _run(self, batch: NDArray[np.float32]) -> NDArray[Any]:
        """Embed (n, 3, 112, 112).

        Raises:
            CheckpointError: The network cannot be run, or gives something else than a vector for each crop.
        """
        with running(self._path):
            output = np.asarray(self._session.run(None, {self._input: batch})[0])
            if output.ndim != 2 or len(output) != len(batch) or not output.shape[1] or output.dtype.kind not in "fiu":
                raise ValueError(f"its result for {len(batch)} faces has the shape {output.shape}")
        return output


def embed(recognizer: Recognizer, crops: Tensor) -> Embeddings:
    """Embed crops with a recognizer, and check that all values are finite.

    Args:
        recognizer: Any recognizer.
        crops: See `Recognizer.embed`.

    Returns:
        (n, d) of unit length.

    Raises:
        NotFiniteError: The network gave NaN or infinity. With such values, no face would be similar to any other.
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
    """Embed faces, which are cut out of their pictures by their landmarks.

    Args:
        recognizer: Any recognizer.
        images: Pictures (3, height, width) in [-1, 1].
        faces: Faces of these pictures. `frame` is the index of the picture.

    Returns:
        (faces, d) of unit length.

    Raises:
        NotFiniteError: See `embed`.
    """
    crops = [_arcface_crop(images[face.frame], _arcface_from_image(face.landmarks)) for face in faces]
    return embed(recognizer, _stacked(crops))


def embed_crops(recognizer: Recognizer, crops: Tensor) -> Embeddings:
    """Embed FFHQ-aligned crops whose landmarks are unknown. The landmarks of the FFHQ template take their place.

    Args:
        recognizer: Any recognizer.
        crops: (n, 3, size, size) in [-1, 1].

    Returns:
        (n, d) of unit length.

    Raises:
        NotFiniteError: See `embed`.
    """
    matrix = similarity(template(crops.shape[-1] if len(crops) else FFHQ_SIZE), ARCFACE_TEMPLATE)
    return embed(recognizer, _stacked([_arcface_crop(crop, matrix) for crop in crops]))


def published_crop(crops: Tensor, size: int = ARCFACE_SIZE) -> Tensor:
    """Prepare FFHQ-aligned crops for a recognizer like the published identity loss and IDS do. Differentiable.

    The middle seven eighths are area-averaged, without alignment to ArcFace's template. A crop whose middle is smaller
    than the recognizer's input is enlarged bilinearly, because averaging would only repeat its pixels.

    Args:
        crops: (n, 3, height, width) in [-1, 1].
        size: Pixels along each side of the recognizer's input.

    Returns:
        (n, 3, size, size).
    """
    height, width = crops.shape[-2:]
    middle = crops[..., int(height * 0.0625) : int(height * 0.9375), int(width * 0.0625) : int(width * 0.9375)]
    if min(middle.shape[-2:]) >= size:
        return F.interpolate(middle, (size, size), mode="area")
    return F.interpolate(middle, (size, size), mode="bilinear", align_corners=False)


def embed_aligned(recognizer: Recognizer, crops: Tensor, faces: Faces) -> Embeddings:
    """Embed FFHQ-aligned crops by the landmarks of their faces, which are transformed from the picture to the crop.

    Args:
        recognizer: Any recognizer.
        crops: (faces, 3, size, size) in [-1, 1], of any size.
        faces: The faces that the crops show.

    Returns:
        (faces, d) of unit length.

    Raises:
        NotFiniteError: See `embed`.
    """
    landmarks = [
        face.landmarks.transformed(transform.resized(crops.shape[-1]).crop_from_image)
        for face, transform in zip(faces.faces, faces.transforms, strict=True)
    ]
    arcface_crops = [
        _arcface_crop(crop, _arcface_from_image(points)) for crop, points in zip(crops, landmarks, strict=True)
    ]
    return embed(recognizer, _stacked(arcface_crops))


def normalize(vectors: NDArray[Any]) -> Embeddings:
    """Scale rows to unit length. A row of zeros stays zero."""
    array = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(array, axis=-1, keepdims=True)
    return (array / np.maximum(lengths, 1e-12)).astype(np.float32)


def cosine(a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
    """Return the cosine similarities of unit vectors: (n, d) and (m, d) -> (n, m) in [-1, 1]."""
    product = np.einsum("nd,md->nm", np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    return np.minimum(np.maximum(product, -1.0), 1.0)


def centroid(embeddings: Embeddings) -> Embeddings:
    """Return the direction of a person's mean embedding: (n, d) -> (d,) of unit length.

    Raises:
        FaceError: There is no embedding, or the embeddings cancel each other.
    """
    if len(embeddings):
        mean = np.asarray(embeddings, dtype=np.float64).mean(axis=0)
        if np.linalg.norm(mean) > 1e-6:
            return normalize(mean)
    raise FaceError(
        "A person has no mean embedding.",
        expected="one or more photos of the same face",
        remedy="add at least one photo in which the person's face is found",
    )


def _arcface_from_image(landmarks: Landmarks5) -> Matrix:
    # The networks were trained with plain least squares over all five points.
    return similarity(landmarks.points, ARCFACE_TEMPLATE)


def _stacked(crops: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(crops)) if crops else torch.zeros(0, 3, ARCFACE_SIZE, ARCFACE_SIZE)


def _arcface_crop(image: Tensor, matrix: Matrix) -> Tensor:
    return warp(image, matrix, (ARCFACE_SIZE, ARCFACE_SIZE)).clamp(-1.0, 1.0).cpu()
