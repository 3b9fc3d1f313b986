"""Masks for pasting: the part of a picture that a restored crop replaces, with soft edges."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .types import CropTransform, compose
from .warping import gaussian_blur, grid, sample, shift

Region = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels. Right and bottom are exclusive."""


def region_of(transform: CropTransform) -> Region | None:
    """Return the bounding region of a crop in its picture, or None where the crop lies outside the picture."""
    corners = transform.corners()
    height, width = transform.image_size
    left, top = (max(0, int(v)) for v in corners.min(axis=0))
    right, bottom = (int(v) + 2 for v in corners.max(axis=0))
    right, bottom = min(width, right), min(height, bottom)
    return (left, top, right, bottom) if left < right and top < bottom else None


def crop_shape_mask(transform: CropTransform, region: Region, feather: float) -> Tensor:
    """Return the crop's square as a mask with soft edges and round corners, evaluated exactly at each pixel.

    Args:
        transform: Transform of the crop.
        region: Part of the picture for which the mask is computed.
        feather: Width of the edge as a fraction of the crop's side, 0..0.5. The mask rises over this width as a
            smoothstep, so its steepest slope is 1.5 / (feather * side).

    Returns:
        (height, width) of the region, float32: 1 inside, and exactly 0 from the crop's border outward.
    """
    left, top, right, bottom = region
    x, y = grid(compose(transform.crop_from_image, shift(left, top)), (bottom - top, right - left))
    half = transform.crop_size / 2.0
    edge = feather * transform.crop_size
    # The mask falls with the distance of a point from an inner square, which is smaller by `edge` on each side.
    points = torch.as_tensor(np.stack([x, y])) - (half - 0.5)
    outside = (points.abs() - (half - edge)).clamp(min=0.0)
    distance = torch.hypot(outside[0], outside[1])
    mask = _smoothstep(1.0 - distance / edge) if edge > 0.0 else (distance == 0.0).to(distance)
    return mask.float().reshape(bottom - top, right - left)


def crop_mask_in_image(mask: Tensor, transform: CropTransform, region: Region, feather: float) -> Tensor:
    """Blur a mask of the crop, for instance from a face parser, and transform it to the picture.

    Args:
        mask: (size, size) in [0, 1], of any size. It covers the whole crop.
        transform: Transform of the crop.
        region: Part of the picture for which the mask is computed.
        feather: See `crop_shape_mask`. The standard deviation of the blur is half of this width.

    Returns:
        (height, width) of the region, float32 in [0, 1].
    """
    left, top, right, bottom = region
    size = mask.shape[-1]
    blurred = gaussian_blur(mask.float().unsqueeze(0), feather * size / 2.0)
    mask_from_region = compose(transform.resized(size).crop_from_image, shift(left, top))
    return sample(blurred, mask_from_region, (bottom - top, right - left), linear=True).squeeze(0).clamp(0.0, 1.0)


def _smoothstep(t: Tensor) -> Tensor:
    t = t.clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
