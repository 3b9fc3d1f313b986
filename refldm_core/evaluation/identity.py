"""The recognizers that judge the identity of a restored face, and their measures of similarity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .. import embedded
from ..checkpoints.download import sha256_of
from ..checkpoints.faces import load_recognizer
from ..face.dlib_recognizer import DlibRecognizer
from ..face.identity import ArcFaceRecognizer, Embeddings, Recognizer, cosine, embed, published_crop

RecognizerSource = Path | Literal["dlib"]
"""Path of an ONNX file, path of the folder of an insightface pack, or "dlib"."""

DLIB: Literal["dlib"] = "dlib"

PUBLISHED_MEASURE = "the cosine of the embeddings of the published center crop"


class IdentityJudge(Protocol):
    """Measures how similar the faces of aligned crops are."""

    @property
    def measure(self) -> str:
        """Description of the measure of similarity, for reports."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the network's file."""
        ...

    def embed_crops(self, crops: Tensor) -> Embeddings:
        """Return the embeddings (n, d) of FFHQ-aligned crops (n, 3, size, size), RGB in [-1, 1]."""
        ...

    def similarity(self, a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
        """Return the similarities (n, m) of embeddings (n, d) and (m, d), at most 1: a crop's similarity to itself."""
        ...


class PublishedIdentity:
    """Identity similarity (IDS) by an ArcFace recognizer, as the paper computes it (section 5).

    The network sees the middle of the crop, which is not aligned to the face again. The similarity is a cosine in
    [-1, 1].
    """

    measure = PUBLISHED_MEASURE

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.metadata: Mapping[str, str] = recognizer.metadata if isinstance(recognizer, ArcFaceRecognizer) else {}

    def embed_crops(self, crops: Tensor) -> Embeddings:
        """See `IdentityJudge`. Each embedding has unit length."""
        return embed(self._recognizer, published_crop(crops))

    def similarity(self, a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
        """See `IdentityJudge`."""
        return cosine(a, b)


def recognizer_source(name: Path) -> RecognizerSource:
    """Return the recognizer that a name on the command line stands for: "embedded", "dlib", or a path.

    Raises:
        CheckpointError: The embedded recognizer is missing.
    """
    if str(name) == DLIB:
        return DLIB
    return embedded.require(embedded.RECOGNIZER) if str(name) == embedded.NAME else name


def open_identity_judge(source: RecognizerSource) -> IdentityJudge:
    """Open a recognizer as a judge.

    Raises:
        CheckpointError: The file is missing, or is no recognizer.
        MissingPackageError: onnxruntime or dlib is not installed.
    """
    return PublishedIdentity(load_recognizer(source)) if isinstance(source, Path) else DlibRecognizer()


def name_of(source: RecognizerSource) -> str:
    """Return the name of a recognizer in reports: its file, or its package."""
    return source.name if isinstance(source, Path) else f"{source}'s recognizer"


def digest_of(source: RecognizerSource) -> str:
    """Return the SHA-256 hashes of a recognizer's files, which must exist, separated by spaces.

    Raises:
        MissingPackageError: dlib is not installed.
    """
    if isinstance(source, Path):
        files = sorted(source.glob("*.onnx")) if source.is_dir() else [source]
    else:
        files = DlibRecognizer.files()
    return " ".join(sha256_of(file) for file in files)
