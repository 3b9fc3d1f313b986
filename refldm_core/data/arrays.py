"""The arrays that drawing works on."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Any, because NumPy's types lose float32 in arithmetic with Python's numbers, where NumPy itself keeps it.
Plane: TypeAlias = NDArray[Any]
"""(height, width) float32, which is what makes drawing quick."""

Color: TypeAlias = NDArray[Any]
"""(3, 1, 1) or (3, height, width) float32 RGB in [0, 1]."""


def clamp(values: Plane, low: float = 0.0, high: float = 1.0) -> Plane:
    """Values between two bounds; quicker than `numpy.clip` for small arrays."""
    return np.minimum(np.maximum(values, low), high)
