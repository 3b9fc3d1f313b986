"""Aligning a face to the FFHQ template: five landmarks -> similarity transform -> crop."""

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
"""(left, top, right, bottom): where a detector's box lies in a 512 crop, roughly; for faces known by landmarks."""

# Fractions of the distance between the template's eyes. Tried on a solid five-point head: up to 75 degrees of yaw and
# 30 of pitch no point is dropped, and of single points astray by 0.7 of that distance all but a few in a thousand are.
_OUTLIER = 0.5
_OTHERS_AGREE = 0.15


def robust_similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[Matrix, int | None]:
    """`similarity` that leaves out one bad point of five.

    A point is left out where the other four agree among each other (root mean square error below 0.15 of the target's
    eye distance) and place it more than half of that distance away from where it is. A turned head moves no point so
    far; an occluded or misplaced eye or corner of the mouth does.

    Returns:
        (2, 3) `target_from_source`, and the index of the point left out, or None.
    """
    unit = float(np.linalg.norm(target[1] - target[0]))
    best: tuple[float, int, Matrix] | None = None
    for i in range(len(source)):
        kept = np.arange(len(source)) != i
        if bool((source[kept] == source[kept][0]).all()):
            continue
        matrix = similarity(source[kept], target[kept])
        off = (transform_points(matrix, source) - target) / unit
        errors = np.hypot(off[:, 0], off[:, 1])
        others = math.sqrt(float(np.mean(errors[kept] ** 2)))
        if others < _OTHERS_AGREE and errors[i] > _OUTLIER and (best is None or others < best[0]):
            best = others, i, matrix
    if best is None:
        return similarity(source, target), None
    return best[2], best[1]


def crop_transform(landmarks: Landmarks5, image_size: tuple[int, int], crop_size: int = FFHQ_SIZE) -> CropTransform:
    """The FFHQ crop of a face.

    Args:
        landmarks: pixels of the picture.
        image_size: (height, width) of the picture.
        crop_size: pixels along each side; 512 is what the released model was trained for.

    Raises:
        FaceError: landmarks that have no extent, or that would make the crop more than 64 pictures wide.
    """
    matrix, _ = robust_similarity(landmarks.points, template(crop_size))
    transform = CropTransform(matrix, crop_size, image_size)
    if crop_size / transform.scale > 64 * max(image_size):
        raise FaceError(
            "The landmarks of a face lie much further apart than the picture is wide.",
            expected="landmarks in pixels of this picture",
            remedy="check the landmarks",
        )
    return transform


def align(image: Tensor, transform: CropTransform) -> Tensor:
    """Cut out an aligned crop.

    A face larger than the crop is smoothed before it is shrunk, and a crop that reaches beyond the picture is filled
    with the picture's mirror image.

    Args:
        image: (3, height, width) in [-1, 1], of the transform's `image_size`.

    Returns:
        (3, crop, crop) float32 in [-1, 1] on the image's device.
    """
    size = (transform.crop_size, transform.crop_size)
    return warp(image, transform.crop_from_image, size).clamp(-1.0, 1.0)


def align_faces(images: Sequence[Tensor], faces: Sequence[Face], crop_size: int = FFHQ_SIZE) -> tuple[Faces, Tensor]:
    """Transforms and crops of all faces of a batch.

    Args:
        images: each (3, height, width) in [-1, 1]; sizes may differ.
        faces: with `frame` the index of their picture.
        crop_size: pixels along each side.

    Returns:
        The faces with their transforms, and the crops: (faces, 3, crop, crop) float32 in [-1, 1] on the device of
        the first picture; (0, 3, crop, crop) where there is no face.
    """
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    transforms = [crop_transform(face.landmarks, sizes[face.frame], crop_size) for face in faces]
    crops = [align(images[face.frame], transform) for face, transform in zip(faces, transforms, strict=True)]
    device = images[0].device if images else torch.device("cpu")
    stacked = torch.stack([crop.to(device) for crop in crops]) if crops else torch.zeros(0, 3, crop_size, crop_size)
    return Faces(tuple(faces), tuple(transforms), tuple(sizes)), stacked.to(device)


def face_from_landmarks(landmarks: Landmarks5, frame: int = 0) -> Face:
    """A face known by its landmarks alone: its box is taken from the template, upright in the picture."""
    image_from_crop = invert(robust_similarity(landmarks.points, FFHQ_TEMPLATE)[0])
    left, top, right, bottom = FACE_BOX
    corners = transform_points(image_from_crop, [[left, top], [right, top], [right, bottom], [left, bottom]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Face((float(low[0]), float(low[1]), float(high[0]), float(high[1])), 1.0, landmarks, frame)
