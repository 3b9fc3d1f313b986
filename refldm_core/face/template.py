"""The FFHQ template, and the similarity transform from landmarks to it.

This module uses numpy only, so that renderers do not need torch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .constants import FFHQ_SIZE
from .errors import FaceError
from .types import Matrix

FFHQ_TEMPLATE = np.array(
    [
        [192.98138, 239.94708],
        [318.90277, 240.1936],
        [256.63416, 314.01935],
        [201.26117, 371.41043],
        [313.08905, 371.15118],
    ]
)
"""(5, 2): mean landmarks of the FFHQ faces at 512 pixels, as facexlib, GFPGAN and CodeFormer use them."""


def template(size: int) -> NDArray[np.float64]:
    """Return `FFHQ_TEMPLATE` for a crop of another size: (5, 2). Such a crop equals the resized crop of 512 pixels."""
    return (FFHQ_TEMPLATE + 0.5) * (size / FFHQ_SIZE) - 0.5


def similarity(source: ArrayLike, target: ArrayLike) -> Matrix:
    """Fit rotation, uniform scale and shift to points by least squares, without reflection (Umeyama 1991).

    Args:
        source: (n, 2) points.
        target: (n, 2) points.

    Returns:
        (2, 3) float64, `target_from_source`.

    Raises:
        FaceError: All source points are equal.
    """
    # With points as complex numbers, target = a * source + b is a similarity, and least squares has a closed form.
    z = _complex(source)
    w = _complex(target)
    dz, dw = z - z.mean(), w - w.mean()
    spread = float(np.sum(np.abs(dz) ** 2))
    if spread < 1e-12:
        raise FaceError(
            "All landmarks of a face are at one point.",
            expected="eyes, nose and mouth at different points",
            remedy="check the landmarks",
        )
    a = complex(np.sum(dw * dz.conj())) / spread
    b = complex(w.mean()) - a * complex(z.mean())
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _complex(points: ArrayLike) -> NDArray[np.complex128]:
    array = np.asarray(points, dtype=np.float64)
    return array[:, 0] + 1j * array[:, 1]
