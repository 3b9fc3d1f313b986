"""Alignment of a face to the FFHQ template: five landmarks -> similarity transform -> crop."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import FaceError
from .template import FFHQ_SIZE, FFHQ_TEMPLATE, similarity, template
from .types import CropTransform, Face, Faces, Landmarks5, Matrix, invert, transform_points
from .warping import warp

FACE_BOX = (150.0, 135.0, 362.0, 425.0)
"""(left, top, right, bottom) in a crop of 512 pixels: approximate box of a detector, for faces with landmarks only."""

# Both limits are fractions of the distance between the template's eyes. They were tried on a rigid head of five points.
# No point is dropped up to 75 degrees of yaw and 30 degrees of pitch. A single point that is displaced by 0.7 of the
# distance is dropped in all but a few of a thousand cases.
_OUTLIER = 0.5
_MAX_REMAINING_ERROR = 0.15


def robust_similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[Matrix, int | None]:
    """Fit a `similarity` to five points, and leave out one point that does not fit.

    A point is left out if the other four points fit well without it (root mean square error below 0.15 of the target's
    eye distance) and the fit moves it by more than half of the eye distance. Turning the head moves no point that far.
    An occluded or misplaced eye or corner of the mouth is moved that far.

    Args:
        source: (5, 2) points.
        target: (5, 2) points.

    Returns:
        (2, 3) `target_from_source`, and the index of the point that was left out, or None.
    """
    unit = float(np.linalg.norm(target[1] - target[0]))
    best: tuple[float, int, Matrix] | None = None
    for i in range(len(source)):
        remaining = np.arange(len(source)) != i
        if bool((source[remaining] == source[remaining][0]).all()):
            continue
        matrix = similarity(source[remaining], target[remaining])
        offsets = (transform_points(matrix, source) - target) / unit
        errors = np.hypot(offsets[:, 0], offsets[:, 1])
        remaining_error = math.sqrt(float(np.mean(errors[remaining] ** 2)))
        fits = remaining_error < _MAX_REMAINING_ERROR and errors[i] > _OUTLIER
        if fits and (best is None or remaining_error < best[0]):
            best = remaining_error, i, matrix
    if best is None:
        return similarity(source, target), None
    return best[2], best[1]


def crop_transform(landmarks: Landmarks5, image_size: tuple[int, int], crop_size: int = FFHQ_SIZE) -> CropTransform:
    """Return the transform of the FFHQ crop of a face.

    Args:
        landmarks: Landmarks in pixels of the picture.
        image_size: (height, width) of the picture.
        crop_size: Pixels along each side of the crop. The released model was trained with 512.

    Raises:
        FaceError: All landmarks are at one point, or the crop would be more than 64 times as wide as the picture.
    """
    matrix, _ = robust_similarity(landmarks.points, template(crop_size))
    transform = CropTransform(matrix, crop_size, image_size)
    if crop_size / transform.scale > 64 * max(image_size):
        raise FaceError(
            "The landmarks of a face are much further apart than the picture is wide.",
            expected="landmarks in pixels of this picture",
            remedy="check the landmarks",
        )
    return transform


def align(image: Tensor, transform: CropTransform) -> Tensor:
    """Cut an aligned crop out of a picture.

    A face that is larger than the crop is smoothed before it shrinks. The mirror image of the picture fills the part of
    a crop outside the picture.

    Args:
        image: (3, height, width) in [-1, 1], with the size `transform.image_size`.
        transform: Position of the crop in the picture.

    Returns:
        (3, crop, crop) float32 in [-1, 1] on the image's device.
    """
    size = (transform.crop_size, transform.crop_size)
    return warp(image, transform.crop_from_image, size).clamp(-1.0, 1.0)


def mean_crop(size: tuple[int, int], landmarks: NDArray[np.float64]) -> float:
    """Return the mean side of the faces' aligned crops in pixels; a third of the picture where there are no faces.

    Args:
        size: (height, width) of the picture.
        landmarks: (n, 5, 2) in pixels.
    """
    sides = [1.0 / crop_transform(Landmarks5(points), size, 1).scale for points in landmarks]
    return min(float(np.mean(sides)), float(size[0])) if sides else size[0] / 3.0


def align_faces(images: Sequence[Tensor], faces: Sequence[Face], crop_size: int = FFHQ_SIZE) -> tuple[Faces, Tensor]:
    """Cut out all faces of a batch.

    Args:
        images: Pictures (3, height, width) in [-1, 1]. Sizes may differ.
        faces: Faces of these pictures. `frame` is the index of the picture.
        crop_size: Pixels along each side of a crop.

    Returns:
        The faces with their transforms, and the crops: (faces, 3, crop, crop) float32 in [-1, 1] on the device of the
        first picture. The number of crops is 0 where there is no face.
    """
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    transforms = [crop_transform(face.landmarks, sizes[face.frame], crop_size) for face in faces]
    crops = torch.zeros(len(faces), 3, crop_size, crop_size, device=images[0].device if images else None)
    for i, (face, transform) in enumerate(zip(faces, transforms, strict=True)):
        crops[i] = align(images[face.frame], transform)
    return Faces(tuple(faces), tuple(transforms), tuple(sizes)), crops


def face_from_landmarks(landmarks: Landmarks5, frame: int = 0) -> Face:
    """Make a face from its landmarks. Its box is the upright box around the template's face box."""
    image_from_crop = invert(robust_similarity(landmarks.points, FFHQ_TEMPLATE)[0])
    left, top, right, bottom = FACE_BOX
    corners = transform_points(image_from_crop, [[left, top], [right, top], [right, bottom], [left, bottom]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Face((float(low[0]), float(low[1]), float(high[0]), float(high[1])), 1.0, landmarks, frame)
