"""A pinhole camera, and the crop of the image plane that becomes the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..face.types import Matrix, transform_points
from .arrays import Floats
from .scipy_functions import reshaped


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera that looks along -z at a point of the scene.

    Attributes:
        target: (3,) point that the camera looks at.
        distance: decimeters from the camera to that point.
        image_from_plane: (2, 3) affine map to pixels from the plane through the target, whose coordinates are
            decimeters, x to the right and y down.
    """

    target: NDArray[np.float64]
    distance: float
    image_from_plane: Matrix

    @property
    def scale(self) -> float:
        """Pixels per decimeter at the target."""
        return float(np.hypot(self.image_from_plane[0, 0], self.image_from_plane[1, 0]))

    @property
    def position(self) -> NDArray[np.float64]:
        """(3,) position of the camera."""
        return self.target + np.array([0.0, 0.0, self.distance])

    def plane(self, points: Floats) -> NDArray[np.float64]:
        """Project (..., 3) points of the scene to (..., 2) positions on the plane through the target."""
        relative = np.asarray(points, dtype=np.float64) - self.target
        shrink = self.distance / np.maximum(self.distance - relative[..., 2], 0.1)
        return np.stack([relative[..., 0] * shrink, -relative[..., 1] * shrink], -1)

    def project(self, points: Floats) -> NDArray[np.float64]:
        """Project (..., 3) points of the scene to (..., 2) pixels."""
        plane = self.plane(points)
        return reshaped(transform_points(self.image_from_plane, reshaped(plane, -1, 2)), *plane.shape)

    def grid(self, points: Floats, supersampling: int) -> NDArray[np.float32]:
        """Project (..., 3) points of the scene to (..., 3) column, row and depth.

        Column and row are in supersampled pixels, of which the first covers [0, 1]. Depth is in decimeters.
        """
        pixels = (self.project(points) + 0.5) * supersampling
        depth = self.distance + self.target[2] - np.asarray(points, dtype=np.float64)[..., 2:]
        return np.concatenate([pixels, depth], -1).astype(np.float32)
