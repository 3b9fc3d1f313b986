"""A pinhole camera, and the crop that its picture is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face.types import Matrix, transform_points
from .arrays import Floats
from .scipy_functions import reshaped


@dataclass(frozen=True, eq=False)
class Camera:
    """Looks along -z at a point of the scene.

    Attributes:
        target: (3,) point that the camera looks at.
        distance: decimeters from the camera to that point.
        image_from_plane: (2, 3) to pixels from the plane through the target, x right and y down, in decimeters.
    """

    target: NDArray[np.float64]
    distance: float
    image_from_plane: Matrix

    @property
    def scale(self) -> float:
        """Pixels of a decimeter at the target."""
        return float(np.hypot(self.image_from_plane[0, 0], self.image_from_plane[1, 0]))

    @property
    def position(self) -> NDArray[np.float64]:
        """(3,) place of the camera."""
        return self.target + np.array([0.0, 0.0, self.distance])

    def plane(self, points: Floats) -> NDArray[np.float64]:
        """(..., 3) points of the scene -> (..., 2) on the plane through the target."""
        relative = np.asarray(points, dtype=np.float64) - self.target
        shrink = self.distance / np.maximum(self.distance - relative[..., 2], 0.1)
        return np.stack([relative[..., 0] * shrink, -relative[..., 1] * shrink], -1)

    def project(self, points: Floats) -> NDArray[np.float64]:
        """(..., 3) points of the scene -> (..., 2) pixels."""
        plane = self.plane(points)
        return reshaped(transform_points(self.image_from_plane, reshaped(plane, -1, 2)), *plane.shape)

    def grid(self, points: Floats, supersampling: int) -> NDArray[np.float32]:
        """(..., 3) -> (..., 3): place in the supersampled picture, whose first pixel covers [0, 1], and depth (dm)."""
        pixels = (self.project(points) + 0.5) * supersampling
        depth = self.distance + self.target[2] - np.asarray(points, dtype=np.float64)[..., 2:]
        return np.concatenate([pixels, depth], -1).astype(np.float32)
