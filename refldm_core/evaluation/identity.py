"""Who judges the identity of a restored face, and by which measure."""

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
"""An ONNX file, the folder of an insightface pack, or dlib's recognizer."""

DLIB: Literal["dlib"] = "dlib"

PUBLISHED_MEASURE = "the cosine of the embeddings of the published center crop"


class IdentityJudge(Protocol):
    """Says how much the faces of aligned crops are alike."""

    @property
    def measure(self) -> str:
        """How the similarity is computed, for reports."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the network's file says about itself."""
        ...

    def embed_crops(self, crops: Tensor) -> Embeddings:
        """FFHQ-aligned crops (n, 3, size, size) RGB in [-1, 1] -> (n, d)."""
        ...

    def similarity(self, a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
        """(n, d) and (m, d) -> (n, m), at most 1, which is the similarity of a crop to itself."""
        ...


class PublishedIdentity:
    """IDS as the paper computes it (section 5), by an ArcFace recognizer.

    The network sees the middle of the crop, not aligned to the face; the similarity is a cosine in [-1, 1].
    """

    measure = PUBLISHED_MEASURE

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.metadata: Mapping[str, str] = recognizer.metadata if isinstance(recognizer, ArcFaceRecognizer) else {}

    def embed_crops(self, crops: Tensor) -> Embeddings:
        """See `IdentityJudge`; each row has unit length."""
        return embed(self._recognizer, published_crop(crops))

    def similarity(self, a: Embeddings, b: Embeddings) -> NDArray[np.float64]:
        """See `IdentityJudge`."""
        return cosine(a, b)


def recognizer_source(name: Path) -> RecognizerSource:
    """What a name on the command line stands for: "embedded", "dlib", or a path.

    Raises:
        CheckpointError: the embedded recognizer is missing.
    """
    if str(name) == DLIB:
        return DLIB
    return embedded.require(embedded.RECOGNIZER) if str(name) == embedded.NAME else name


def open_identity_judge(source: RecognizerSource) -> IdentityJudge:
    """Open a recognizer as a judge.

    Raises:
        CheckpointError: the file is missing, or is no recognizer.
        MissingPackageError: onnxruntime or dlib is not installed.
    """
    return PublishedIdentity(load_recognizer(source)) if isinstance(source, Path) else DlibRecognizer()


def name_of(source: RecognizerSource) -> str:
    """What reports call a recognizer: its file, or the package."""
    return source.name if isinstance(source, Path) else f"{source}'s recognizer"


def digest_of(source: RecognizerSource) -> str:
    """Hashes of the network files of a recognizer that exists.

    Raises:
        MissingPackageError: dlib is not installed.
    """
    if isinstance(source, Path):
        files = sorted(source.glob("*.onnx")) if source.is_dir() else [source]
    else:
        files = DlibRecognizer.files()
    return " ".join(sha256_of(file) for file in files)
