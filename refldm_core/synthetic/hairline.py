"""Where the hair of the head grows."""

from __future__ import annotations

import numpy as np

from .arrays import Floats, noise, smoothstep
from .asset import head
from .traits import Hair

_DEPTHS = (-1.2, 0.05, 0.38, 0.62, 0.78, 0.95, 1.12, 1.30, 1.50)
_HEIGHTS = (6.50, 6.70, 7.35, 7.16, 7.30, 7.66, 7.86, 7.98, 8.02)
"""Hairline on the average head from the nape over the ear to the forehead: y at each z of `_DEPTHS`."""
_FOREHEAD = 5
"""Index of the first of these points that recedes."""
_SIDEBURNS = slice(2, 5)
_SOFTNESS = 0.09


def scalp_cover(hair: Hair) -> Floats:
    """Return the share of hair, (n,) in [0, 1], at each fine vertex of the skin."""
    points = head().skin
    heights = np.array(_HEIGHTS)
    heights[_FOREHEAD:] += hair.recession
    if not hair.sideburns:
        heights[_SIDEBURNS] = np.maximum(heights[_SIDEBURNS], 7.55)
    temple = (
        0.10 * hair.recession / 0.1 * smoothstep(0.15, 0.45, np.abs(points[:, 0])) * smoothstep(0.9, 1.2, points[:, 2])
    )
    hairline = (
        np.interp(points[:, 2], _DEPTHS, heights)
        + temple
        + 0.02 * noise(points, 7.0, 3)
        + 0.012 * noise(points, 21.0, 4)
    )
    cover = smoothstep(-_SOFTNESS, _SOFTNESS, points[:, 1] - hairline)
    return cover * (head().masks["ears"] < 0.03)
