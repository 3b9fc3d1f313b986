"""Rooms, streets and gardens, far out of focus."""

from __future__ import annotations

import numpy as np

from .arrays import LUMINANCE, clamp
from .conditions import Place
from .places import PLACES, Picture
from .scipy_functions import convolved, resized

_ROWS = 160
"""Rows of the sharp scene. The blur would hide any finer detail."""

_MARGIN = 24
"""Rows and columns beyond each edge of the sharp scene. The blur mixes them into the picture."""


def backdrop(place: Place, seed: int, height: int, width: int, blur: float) -> Picture:
    """Draw the background of a picture.

    Args:
        place: kind of place that it shows.
        seed: seed for everything in it.
        height, width: pixels.
        blur: radius of the disk that a point of light becomes, as a fraction of the picture's height.

    Returns:
        (height, width, 3) linear light. A well-lit white wall is near 1; lamps and sky are brighter.
    """
    rng = np.random.default_rng([0xBAC, seed])
    columns = max(16, round(_ROWS * width / height))
    sharp = PLACES[place](rng, _ROWS + 2 * _MARGIN, columns + 2 * _MARGIN)
    gray = sharp @ LUMINANCE
    sharp = gray[..., None] + rng.uniform(0.45, 0.8) * (sharp - gray[..., None])
    soft = _defocused(sharp, max(1.0, blur * _ROWS))[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return np.maximum(resized(soft, height, width), 0.0)


def _defocused(picture: Picture, radius: float) -> Picture:
    """Convolve with a disk whose rim is a little brighter, as a lens's is."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    disk = clamp(radius + 0.5 - distance, 0.0, 1.0) * (0.85 + 0.15 * (distance / radius) ** 2)
    disk /= disk.sum()
    return convolved(picture, disk)
