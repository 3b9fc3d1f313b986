"""Types that detection, alignment and pasting exchange.

Conventions: x points right and y points down, in pixels. Pixel centers are at integers, so the first pixel covers
[-0.5, 0.5]. A size is (height, width). Matrices are float64. Their names state the direction: `crop_from_image` maps a
point of the image to its point in the crop. Resizing a picture by a factor f moves a point x to (x + 0.5) f - 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FaceError

Matrix = NDArray[np.float64]
"""(2, 3): [linear part | translation], applied to column vectors (x, y, 1)."""


@dataclass(frozen=True, eq=False)
class Landmarks5:
    """Five points of one face.

    Attributes:
        points: (5, 2) float64 pixels: left eye, right eye, nose tip, left and right corner of the mouth. Left and right
            are as seen in an upright picture, so the left eye is the person's right eye.

    Raises:
        FaceError: The shape is another one, or a coordinate is not finite.
    """

    points: NDArray[np.float64]

    def __init__(self, points: ArrayLike) -> None:
        array = _read_only(points)
        if array.shape != (5, 2) or not np.isfinite(array).all():
            raise FaceError(
                f"Face landmarks have the shape {array.shape}."
                if array.shape != (5, 2)
                else "A coordinate of the face landmarks is not finite.",
                expected="five (x, y) points: left eye, right eye, nose, left and right corner of the mouth",
                remedy="enter ten numbers for each face",
            )
        object.__setattr__(self, "points", array)

    @property
    def eye_distance(self) -> float:
        """Distance between the eyes in pixels."""
        return float(np.linalg.norm(self.points[1] - self.points[0]))

    def transformed(self, matrix: Matrix) -> Landmarks5:
        """Return the landmarks after a (2, 3) transform."""
        return Landmarks5(transform_points(matrix, self.points))


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one picture.

    Attributes:
        box: (left, top, right, bottom) in pixels. It may extend beyond the picture.
        score: Confidence of the detector, 0..1. 1 for landmarks that the user entered.
        landmarks: Five points in pixels of the picture.
        frame: Index of the picture in its batch.
        embedding: (d,) float32 of unit length from a recognizer. None where the face was not embedded.
        person: Name of the matched person. None where no person was matched.
        track: Number of the face's track through video frames. None where the face was not tracked.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: Landmarks5
    frame: int = 0
    embedding: NDArray[np.float32] | None = None
    person: str | None = None
    track: int | None = None

    @property
    def width(self) -> float:
        return max(0.0, self.box[2] - self.box[0])

    @property
    def height(self) -> float:
        return max(0.0, self.box[3] - self.box[1])

    @property
    def size(self) -> float:
        """Side of a square with the area of the box, in pixels of the picture."""
        return math.sqrt(self.width * self.height)

    @property
    def center(self) -> tuple[float, float]:
        """Center of the box: (x, y)."""
        return (self.box[0] + self.box[2]) / 2.0, (self.box[1] + self.box[3]) / 2.0


@dataclass(frozen=True, eq=False)
class CropTransform:
    """Position of an aligned square crop in its picture. Alignment and pasting use the same object.

    Attributes:
        crop_from_image: (2, 3) float64, maps pixels of the picture to pixels of the crop.
        crop_size: Pixels along each side of the crop.
        image_size: (height, width) of the picture.

    Raises:
        FaceError: The matrix has no inverse.
    """

    crop_from_image: Matrix
    crop_size: int
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        matrix = _read_only(self.crop_from_image)
        object.__setattr__(self, "crop_from_image", matrix)
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-12:
            raise FaceError(
                "A crop's transform has no inverse.",
                expected="a (2, 3) matrix whose linear part is not singular",
                remedy="check the landmarks: at least two of them must differ",
            )

    @cached_property
    def image_from_crop(self) -> Matrix:
        """(2, 3) float64, the inverse of `crop_from_image`."""
        return invert(self.crop_from_image)

    @property
    def scale(self) -> float:
        """Crop pixels per picture pixel. Below 1, the crop holds less detail than the picture."""
        return math.sqrt(abs(float(np.linalg.det(self.crop_from_image[:, :2]))))

    def resized(self, crop_size: int) -> CropTransform:
        """Return the transform of the same crop, resized to another number of pixels."""
        matrix = compose(_resize_matrix(crop_size / self.crop_size), self.crop_from_image)
        return replace(self, crop_from_image=matrix, crop_size=crop_size)

    def for_image(self, size: tuple[int, int]) -> CropTransform:
        """Return the transform for the same picture, resized to (height, width).

        Raises:
            FaceError: The aspect ratio differs by more than rounding to whole pixels explains.
        """
        if size == self.image_size:
            return self
        fy, fx = size[0] / self.image_size[0], size[1] / self.image_size[1]
        if abs(fx - fy) * max(self.image_size) > 1.0:
            raise FaceError(
                f"The faces were found in a picture of {self.image_size[1]}x{self.image_size[0]} pixels, but this "
                f"picture has {size[1]}x{size[0]}.",
                expected="the same picture, or the same picture enlarged as a whole",
                remedy="connect the picture in which the faces were detected",
            )
        from_resized = np.array([[1 / fx, 0.0, 0.5 / fx - 0.5], [0.0, 1 / fy, 0.5 / fy - 0.5]])
        return CropTransform(compose(self.crop_from_image, from_resized), self.crop_size, size)

    def corners(self) -> NDArray[np.float64]:
        """Return the crop's outer corners in pixels of the picture: (4, 2), in order around the square."""
        low, high = -0.5, self.crop_size - 0.5
        return transform_points(self.image_from_crop, [[low, low], [high, low], [high, high], [low, high]])


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces of a batch of pictures, with the transforms of their crops but without the crops.

    Attributes:
        faces: Faces of all pictures. The faces of one picture have the order of the selection.
        transforms: One transform for each face.
        image_sizes: (height, width) of every picture of the batch, including pictures without a face.

    Raises:
        FaceError: The numbers of faces and transforms differ, or a face belongs to no picture of the batch.
    """

    faces: tuple[Face, ...]
    transforms: tuple[CropTransform, ...]
    image_sizes: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        frames = {face.frame for face in self.faces}
        if len(self.faces) != len(self.transforms) or not frames <= set(range(len(self.image_sizes))):
            raise FaceError(
                f"{len(self.faces)} faces, {len(self.transforms)} transforms and {len(self.image_sizes)} pictures do "
                "not fit together.",
                expected="one transform for each face, and faces of these pictures only",
                remedy="detect the faces again",
            )

    def __len__(self) -> int:
        return len(self.faces)

    def in_frame(self, frame: int) -> list[int]:
        """Return the indices of the faces of one picture."""
        return [i for i, face in enumerate(self.faces) if face.frame == frame]

    def select(self, indices: Sequence[int]) -> Faces:
        """Return the faces at `indices`, in this order, with all pictures of the batch."""
        return replace(
            self, faces=tuple(self.faces[i] for i in indices), transforms=tuple(self.transforms[i] for i in indices)
        )

    def with_faces(self, faces: Sequence[Face]) -> Faces:
        """Replace the faces and keep their transforms, for instance to add embeddings, people or tracks."""
        return replace(self, faces=tuple(faces))


def transform_points(matrix: Matrix, points: ArrayLike) -> NDArray[np.float64]:
    """Apply a (2, 3) transform to points (..., 2)."""
    array = np.asarray(points, dtype=np.float64)
    x, y = array[..., 0], array[..., 1]
    (a, b, c), (d, e, f) = matrix
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1)


def invert(matrix: Matrix) -> Matrix:
    """Return the inverse of a (2, 3) transform."""
    linear = np.asarray(np.linalg.inv(matrix[:, :2]), dtype=np.float64)
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def compose(second: Matrix, first: Matrix) -> Matrix:
    """Return the (2, 3) transform that applies `first`, then `second`."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def _resize_matrix(factor: float) -> Matrix:
    return np.array([[factor, 0.0, factor / 2.0 - 0.5], [0.0, factor, factor / 2.0 - 0.5]])


def _read_only(values: Any) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
