"""Color of teeth and gums on the asset's mesh of teeth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, linear, mix, smoothstep

_ENAMEL, _GUM = (0.90, 0.87, 0.80), (0.66, 0.36, 0.35)
_GAPS = np.array([0.0, 0.085, 0.150, 0.222, 0.290, 0.36])
"""Decimeters along the arch, from its middle, of the gaps between teeth."""
_ARCH_CENTER, _ARCH_RADIUS = 1.18, 0.30


def tooth_albedo(rest: Floats) -> NDArray[np.float64]:
    """Return the linear color, (n, 3), at (n, 3) positions on the average head's teeth."""
    along = np.abs(np.arctan2(rest[:, 0], rest[:, 2] - _ARCH_CENTER)) * _ARCH_RADIUS
    gap = np.abs(along[:, None] - _GAPS[None]).min(1)
    brightness = 1.0 - 0.45 * smoothstep(0.010, 0.002, gap)
    enamel = linear(_ENAMEL) * brightness[:, None]
    upper_gum, lower_gum = smoothstep(6.735, 6.76, rest[:, 1]), smoothstep(6.52, 6.495, rest[:, 1])
    return mix(enamel, linear(_GUM), np.maximum(upper_gum, lower_gum)[:, None])
