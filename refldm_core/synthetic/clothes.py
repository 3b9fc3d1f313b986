"""Clothes: which part of the body they cover."""

from __future__ import annotations

import numpy as np

from .arrays import Floats, clamp, smoothstep
from .conditions import Clothes
from .scipy_functions import transposed


def cloth_cover(clothes: Clothes, rest: Floats, softness: float = 0.01) -> Floats:
    """Return the share of cloth, (n,) in [0, 1], at (n, 3) positions of the average head.

    Cloth covers everything below the neckline of the garment.
    """
    x, y, z = transposed(rest)
    side = np.abs(x)
    front = smoothstep(0.1, 0.9, z)
    if clothes.garment == "crew":
        neckline = 5.83 - 0.22 * front * smoothstep(0.9, 0.1, side)
    elif clothes.garment == "vee":
        neckline = 5.80 - 0.75 * front * clamp(1.0 - side / 0.75, 0.0, 1.0)
    elif clothes.garment == "collar":
        neckline = 5.98 - 0.62 * front * clamp(1.0 - side / 0.42, 0.0, 1.0)
    else:
        neckline = 6.12 - 0.16 * front
    return smoothstep(-softness, softness, neckline - y)
