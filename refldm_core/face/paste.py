"""Putting restored crops back into their pictures, without a seam and without touching anything else.

A crop smaller than the face in its picture lacks the picture's finest detail, and any resampling loses a little.
Pasting the crop itself makes a sharp large face softer; pasting only the change (crop minus original crop) on top of
the picture keeps the detail, but keeps the noise and the artifacts too that the restorer removed. Measured on a photo
with a perfect restorer, PSNR to the clean picture inside the mask, in dB:

    face side (px), degradation     crop itself    change only    here
    768, none                              38.9      identical    identical
    256, noise (10 / 255)                  48.8           36.3        48.8
    768, noise (10 / 255)                  38.9           30.2        38.9
    768, JPEG quality 85                   38.9           53.9        53.9

Here: lost detail is put back only where the restorer left the crop as it was, by the local root mean square change. (In
drawings, with edges of one pixel, the change alone can be a decibel better in spite of noise; photos are not so sharp.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..errors import SettingsError
from ..images import antialiased
from .alignment import align
from .color import ColorMatch, match_colors
from .errors import FaceError
from .masks import Region, crop_mask_in_image, crop_shape_mask, region_of
from .types import CropTransform, Faces, compose
from .warping import gaussian_blur, shift, warp

Detail = Literal["unchanged", "always", "never"]

# Of [-1, 1]: below 1.3 / 255 a crop is the same but for rounding, above 5 / 255 it is another picture.
_SAME, _CHANGED = 0.01, 0.04
_NEIGHBORHOOD = 4.0 / 512  # standard deviation, of the crop's side


@dataclass(frozen=True)
class PasteSettings:
    """How to put crops back.

    Attributes:
        feather: width of the mask's soft edge as a fraction of the crop's side, 0..0.5.
        color: see `match_colors`.
        blend: 0 leaves the picture as it is, 1 shows the restored face alone.
        upscale: the result's size by the picture's, from 1 to 8; above 1 a face that was enlarged for restoring keeps
            more of its new detail. Irrelevant where an enlarged picture is given.
        detail: where the picture's detail that the crop could not hold is put back: "unchanged" where the restorer left
            the crop as it was, "always", or "never".
    """

    feather: float = 0.1
    color: ColorMatch = "wavelet"
    blend: float = 1.0
    upscale: float = 1.0
    detail: Detail = "unchanged"

    def __post_init__(self) -> None:
        _require("feather", self.feather, 0.0, 0.5)
        _require("blend", self.blend, 0.0, 1.0)
        _require("upscale", self.upscale, 1.0, 8.0)


class Pasted(NamedTuple):
    """A picture with its restored faces.

    Attributes:
        image: (3, height, width) float32 in [-1, 1]; bit-identical to the picture where the mask is 0.
        mask: (height, width) float32 in [0, 1]: how much of each pixel comes from restored crops.
    """

    image: Tensor
    mask: Tensor


def paste_faces(
    images: Sequence[Tensor],
    faces: Faces,
    crops: Tensor,
    settings: PasteSettings | None = None,
    *,
    crop_masks: Sequence[Tensor | None] | None = None,
    image_masks: Sequence[Tensor | None] | None = None,
) -> list[Pasted]:
    """Put every restored crop back into its picture; where faces overlap, later ones lie on top.

    Args:
        images: each (3, height, width) in [-1, 1], the pictures that the faces were aligned from, or all of these
            enlarged (by an upscaler, say).
        faces: their faces.
        crops: (faces, 3, size, size) in [-1, 1], restored, of any size.
        settings: None for the default.
        crop_masks: for each face (size, size) in [0, 1] or None, from a face parser; multiplies the crop's own shape.
        image_masks: for each picture (height, width) in [0, 1] or None, drawn by the user; multiplies too, unsoftened.

    Returns:
        One result for each picture, on the picture's device.

    Raises:
        FaceError: numbers or sizes that do not fit together.
    """
    settings = settings or PasteSettings()
    _require_count("restored crops", len(crops), len(faces), "faces")
    _require_count("pictures", len(images), len(faces.image_sizes), "pictures with which the faces were detected")
    masks = [None] * len(faces) if crop_masks is None else crop_masks
    drawn = [None] * len(images) if image_masks is None else image_masks
    _require_count("crop masks", len(masks), len(faces), "faces")
    _require_count("masks", len(drawn), len(images), "pictures")
    results: list[Pasted] = []
    for frame, image in enumerate(images):
        original = enlarge(image, settings.upscale) if _size(image) == faces.image_sizes[frame] else image.float()
        target = Pasted(original.clone(), original.new_zeros(_size(original)))
        image_mask = drawn[frame]
        if image_mask is not None:
            image_mask = _fitted(image_mask, _size(original)).to(original)
        for i in faces.in_frame(frame):
            transform = faces.transforms[i].for_image(_size(original))
            _paste_into(target, original, crops[i], transform, settings, crop_mask=masks[i], image_mask=image_mask)
        results.append(target)
    return results


def paste_face(image: Tensor, crop: Tensor, transform: CropTransform, settings: PasteSettings | None = None) -> Pasted:
    """Put one restored crop (3, size, size) back into its picture (3, height, width); see `paste_faces`."""
    settings = settings or PasteSettings()
    original = enlarge(image, settings.upscale) if _size(image) == transform.image_size else image.float()
    target = Pasted(original.clone(), original.new_zeros(_size(original)))
    _paste_into(target, original, crop, transform.for_image(_size(original)), settings)
    return target


def enlarge(image: Tensor, factor: float) -> Tensor:
    """(3, height, width) enlarged with a bicubic filter, float32 and clamped to [-1, 1]; itself where factor is 1."""
    if factor == 1.0:
        return image.float()
    size = (round(image.shape[-2] * factor), round(image.shape[-1] * factor))
    return antialiased(image.float().unsqueeze(0), size, "bicubic").squeeze(0).clamp(-1.0, 1.0)


def _paste_into(
    target: Pasted,
    original: Tensor,
    crop: Tensor,
    transform: CropTransform,
    settings: PasteSettings,
    *,
    crop_mask: Tensor | None = None,
    image_mask: Tensor | None = None,
) -> None:
    transform = transform.resized(crop.shape[-1])
    region = region_of(transform)
    if region is None:
        return
    left, top, right, bottom = region
    window = (slice(None), slice(top, bottom), slice(left, right))
    mask = crop_shape_mask(transform, region, settings.feather).to(original.device)
    if crop_mask is not None:
        mask = mask * crop_mask_in_image(crop_mask.to(original.device), transform, region, settings.feather)
    if image_mask is not None:
        mask = mask * image_mask[window[1:]]
    mask = mask * settings.blend
    inside = mask > 0.0
    if not bool(inside.any()):
        return
    before = align(original, transform)
    weight = None if crop_mask is None else _fitted(crop_mask, _size(before)).to(before)
    restored = match_colors(crop.to(before), before, settings.color, weight)
    pasted = _to_image(restored, transform, region)
    keep = _unchanged(restored, before, settings.detail)
    if keep is not None:
        lost = original[window] - _to_image(before, transform, region)
        pasted = pasted + _to_image(keep, transform, region).clamp(0.0, 1.0) * lost
    current = target.image[window]
    blended = torch.lerp(current, pasted.clamp(-1.0, 1.0), mask)
    target.image[window] = torch.where(inside, blended, current)
    target.mask[window[1:]] = torch.maximum(target.mask[window[1:]], mask)


def _to_image(crop: Tensor, transform: CropTransform, region: Region) -> Tensor:
    left, top, right, bottom = region
    return warp(crop, compose(shift(-left, -top), transform.image_from_crop), (bottom - top, right - left))


def _unchanged(restored: Tensor, before: Tensor, detail: Detail) -> Tensor | None:
    """(1, size, size): 1 where the two crops are the same, 0 where they differ; None where that is everywhere."""
    if detail == "always":
        return torch.ones_like(before[:1])
    if detail == "never":
        return None
    squared = (restored - before).square().mean(dim=0, keepdim=True)
    change = gaussian_blur(squared, _NEIGHBORHOOD * before.shape[-1]).sqrt()
    keep = ((_CHANGED - change) / (_CHANGED - _SAME)).clamp(0.0, 1.0)
    return keep if bool((keep > 0.0).any()) else None


def _fitted(mask: Tensor, size: tuple[int, int]) -> Tensor:
    if _size(mask) == size:
        return mask
    return antialiased(mask.float()[None, None], size, "bilinear")[0, 0]


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(
            f"{name} {value} has no meaning.", expected=f"{low:g}..{high:g}", remedy=f"choose a {name} in that range"
        )


def _require_count(what: str, found: int, expected: int, of: str) -> None:
    if found != expected:
        raise FaceError(
            f"There are {found} {what} for {expected} {of}.",
            expected="one for each",
            remedy="connect the crops, masks and pictures that belong to these faces, in their order",
        )
