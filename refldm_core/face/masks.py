"""Where a restored crop is put into its picture, and how softly."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .types import CropTransform, compose
from .warping import gaussian_blur, grid, sample, shift

Region = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels; right and bottom are outside."""


def region_of(transform: CropTransform) -> Region | None:
    """The part of the picture that a crop covers; None where it covers none."""
    corners = transform.corners()
    height, width = transform.image_size
    left, top = (max(0, int(v)) for v in corners.min(axis=0))
    right, bottom = (int(v) + 2 for v in corners.max(axis=0))
    right, bottom = min(width, right), min(height, bottom)
    return (left, top, right, bottom) if left < right and top < bottom else None


def crop_shape_mask(transform: CropTransform, region: Region, feather: float) -> Tensor:
    """The crop's square with soft edges and round corners, exact at every pixel of the picture.

    Args:
        transform: of the crop.
        region: part of the picture.
        feather: width of the edge as a fraction of the crop's side, 0..0.5. The mask rises over it as a smoothstep, so
            its steepest slope is 1.5 / (feather * side).

    Returns:
        (height, width) of the region, float32, 1 inside and exactly 0 from the crop's border outward.
    """
    left, top, right, bottom = region
    x, y = grid(compose(transform.crop_from_image, shift(left, top)), (bottom - top, right - left))
    half = transform.crop_size / 2.0
    soft = feather * transform.crop_size
    # How far a point lies outside the inner square, whose border is `soft` inside the crop's.
    points = torch.as_tensor(np.stack([x, y])) - (half - 0.5)
    beyond = (points.abs() - (half - soft)).clamp(min=0.0)
    distance = torch.hypot(beyond[0], beyond[1])
    mask = _smoothstep(1.0 - distance / soft) if soft > 0.0 else (distance == 0.0).to(distance)
    return mask.float().reshape(bottom - top, right - left)


def crop_mask_in_image(mask: Tensor, transform: CropTransform, region: Region, feather: float) -> Tensor:
    """A mask drawn in the crop (by a face parser, say), softened and brought to the picture.

    Args:
        mask: (size, size) in [0, 1], of any size: it covers the whole crop.
        transform: of the crop.
        region: part of the picture.
        feather: as in `crop_shape_mask`; the mask is smoothed with half of it as standard deviation.

    Returns:
        (height, width) of the region, float32 in [0, 1].
    """
    left, top, right, bottom = region
    size = mask.shape[-1]
    soft = gaussian_blur(mask.float().unsqueeze(0), feather * size / 2.0)
    placed = compose(transform.resized(size).crop_from_image, shift(left, top))
    return sample(soft, placed, (bottom - top, right - left), linear=True).squeeze(0).clamp(0.0, 1.0)


def _smoothstep(t: Tensor) -> Tensor:
    t = t.clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
