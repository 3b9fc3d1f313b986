"""Rooms, streets and gardens, far out of focus."""

from __future__ import annotations

import numpy as np

from .arrays import LUMINANCE, clamp
from .conditions import Place
from .places import PLACES, Picture
from .scipy_functions import convolved, resized

_LINES = 160
"""Rows in which the sharp scene is drawn; the blur leaves no more."""


def backdrop(place: Place, seed: int, height: int, width: int, blur: float) -> Picture:
    """Draw the background of a picture.

    Args:
        place: what it shows.
        seed: of everything in it.
        height, width: pixels.
        blur: radius of the disk that a point of light becomes, as a share of the height.

    Returns:
        (height, width, 3) linear; a well-lit white wall is near 1, lamps and sky are above.
    """
    rng = np.random.default_rng([0xBAC, seed])
    columns = max(16, round(_LINES * width / height))
    margin = 24
    sharp = PLACES[place](rng, _LINES + 2 * margin, columns + 2 * margin)
    gray = sharp @ LUMINANCE
    sharp = gray[..., None] + rng.uniform(0.45, 0.8) * (sharp - gray[..., None])
    soft = _defocused(sharp, max(1.0, blur * _LINES))[margin:-margin, margin:-margin]
    return np.maximum(resized(soft, height, width), 0.0)


def _defocused(picture: Picture, radius: float) -> Picture:
    """Convolve with a disk, a little lighter at its rim as lenses make it."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    disk = clamp(radius + 0.5 - distance, 0.0, 1.0) * (0.85 + 0.15 * (distance / radius) ** 2)
    disk /= disk.sum()
    return convolved(picture, disk)
