"""Pasting of restored crops into their pictures, without a seam and without a change outside the mask.

A crop that is smaller than the face in its picture lacks the finest detail of the picture, and any resampling loses a
little more. There are two simple methods:

- Paste the crop itself. A sharp large face becomes softer.
- Add only the change (restored crop minus original crop) to the picture. The detail stays, but so do the noise and the
  artifacts that the restorer removed.

This module pastes the crop, and adds the lost detail only where the restorer did not change the crop. The local root
mean square change decides this. The table shows the PSNR to the clean picture inside the mask, in dB, measured on a
photo with a perfect restorer:

    face side (px), degradation     crop itself    change only    this module
    768, none                              38.9      identical      identical
    256, noise (10 / 255)                  48.8           36.3           48.8
    768, noise (10 / 255)                  38.9           30.2           38.9
    768, JPEG quality 85                   38.9           53.9           53.9

In drawings with edges of one pixel, the change alone can be a decibel better in spite of noise. Photos are not so
sharp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

# Limits of a change in the range [-1, 1]. A change up to 0.01 (1.3 levels of 255) is rounding. A change of 0.04 (5
# levels) or more comes from the restorer.
_UNCHANGED_BELOW, _CHANGED_ABOVE = 0.01, 0.04
_NEIGHBORHOOD = 4.0 / 512  # standard deviation, as a fraction of the crop's side


@dataclass(frozen=True)
class PasteSettings:
    """Settings of pasting.

    Attributes:
        feather: Width of the mask's soft edge as a fraction of the crop's side, 0..0.5.
        color: Method of color matching (see `match_colors`).
        blend: Weight of the restored face, 0..1. 0 leaves the picture unchanged.
        upscale: Ratio of the result's size to the picture's size, 1..8. Above 1, a face that was enlarged for
            restoration keeps more of its new detail. Ignored for pictures that are enlarged already.
        detail: Places that get back the detail of the picture that the crop is too small for: "unchanged" for places
            that the restorer did not change, "always" for all places, "never" for none.

    Raises:
        SettingsError: A value is outside its range.
    """

    feather: float = 0.1
    color: ColorMatch = "wavelet"
    blend: float = 1.0
    upscale: float = 1.0
    detail: Detail = "unchanged"

    def __post_init__(self) -> None:
        _require_range("feather", self.feather, 0.0, 0.5)
        _require_range("blend", self.blend, 0.0, 1.0)
        _require_range("upscale", self.upscale, 1.0, 8.0)


class PastedPicture(NamedTuple):
    """A picture with its restored faces.

    Attributes:
        image: (3, height, width) float32 in [-1, 1], bit-identical to the picture where the mask is 0.
        mask: (height, width) float32 in [0, 1]: the share of restored crops in each pixel.
    """

    image: Tensor
    mask: Tensor


def paste_faces(
    images: Sequence[Tensor],
    faces: Faces,
    crops: Sequence[Tensor] | Tensor,
    settings: PasteSettings | None = None,
    *,
    crop_masks: Sequence[Tensor | None] | None = None,
    image_masks: Sequence[Tensor | None] | None = None,
) -> list[PastedPicture]:
    """Paste every restored crop into its picture, and return all pictures. See `pasted_pictures`."""
    return list(pasted_pictures(images, faces, crops, settings, crop_masks=crop_masks, image_masks=image_masks))


def pasted_pictures(
    images: Sequence[Tensor],
    faces: Faces,
    crops: Sequence[Tensor] | Tensor,
    settings: PasteSettings | None = None,
    *,
    crop_masks: Sequence[Tensor | None] | None = None,
    image_masks: Sequence[Tensor | None] | None = None,
) -> Iterator[PastedPicture]:
    """Paste every restored crop into its picture, picture by picture. Where faces overlap, later faces are on top.

    Args:
        images: Pictures (3, height, width) in [-1, 1] that the faces were aligned from, or enlarged copies of them (for
            instance from an upscaler).
        faces: Faces of these pictures.
        crops: For each face the restored crop (3, size, size) in [-1, 1], of any size.
        settings: Settings of pasting. None for the defaults.
        crop_masks: For each face a mask (size, size) in [0, 1], for instance from a face parser, or None. It is
            softened and multiplied with the mask of the crop's shape.
        image_masks: For each picture a mask (height, width) in [0, 1] from the user, or None. It is multiplied with the
            other masks and not softened.

    Yields:
        One result for each picture, on the picture's device.

    Raises:
        FaceError: Numbers of pictures, faces, crops or masks do not fit together, or a picture has another aspect ratio
            than the picture of its faces.
    """
    settings = settings or PasteSettings()
    _require_count("restored crops", len(crops), len(faces), "faces")
    _require_count("pictures", len(images), len(faces.image_sizes), "pictures with which the faces were detected")
    masks = [None] * len(faces) if crop_masks is None else crop_masks
    masks_of_images = [None] * len(images) if image_masks is None else image_masks
    _require_count("crop masks", len(masks), len(faces), "faces")
    _require_count("masks", len(masks_of_images), len(images), "pictures")
    for frame, image in enumerate(images):
        original = enlarge(image, settings.upscale) if _size(image) == faces.image_sizes[frame] else image.float()
        target = PastedPicture(original.clone(), original.new_zeros(_size(original)))
        image_mask = masks_of_images[frame]
        if image_mask is not None:
            image_mask = _resized(image_mask, _size(original)).to(original)
        for i in faces.in_frame(frame):
            transform = faces.transforms[i].for_image(_size(original))
            _paste_into(target, original, crops[i], transform, settings, crop_mask=masks[i], image_mask=image_mask)
        yield target


def paste_face(
    image: Tensor, crop: Tensor, transform: CropTransform, settings: PasteSettings | None = None
) -> PastedPicture:
    """Paste one restored crop (3, size, size) into its picture (3, height, width). See `paste_faces`."""
    settings = settings or PasteSettings()
    original = enlarge(image, settings.upscale) if _size(image) == transform.image_size else image.float()
    target = PastedPicture(original.clone(), original.new_zeros(_size(original)))
    _paste_into(target, original, crop, transform.for_image(_size(original)), settings)
    return target


def enlarge(image: Tensor, factor: float) -> Tensor:
    """Enlarge (3, height, width) with a bicubic filter to float32, clamped to [-1, 1]. Factor 1 changes no value."""
    if factor == 1.0:
        return image.float()
    size = (round(image.shape[-2] * factor), round(image.shape[-1] * factor))
    return antialiased(image.float().unsqueeze(0), size, "bicubic").squeeze(0).clamp(-1.0, 1.0)


def _paste_into(
    target: PastedPicture,
    original: Tensor,
    crop: Tensor,
    transform: CropTransform,
    settings: PasteSettings,
    *,
    crop_mask: Tensor | None = None,
    image_mask: Tensor | None = None,
) -> None:
    """Paste a crop into `target`, whose image may show other pasted faces already.

    Args:
        target: Result, which is changed in place.
        original: The picture without any pasted face.
        crop: (3, size, size) restored crop.
        transform: Transform from the picture to the crop.
        settings: Settings of pasting.
        crop_mask: See `paste_faces`.
        image_mask: See `paste_faces`, with the size of the picture.
    """
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
    weight = None if crop_mask is None else _resized(crop_mask, _size(before)).to(before)
    restored = match_colors(crop.to(before), before, settings.color, weight)
    unchanged = _unchanged_mask(restored, before, settings.detail)
    if unchanged is None:
        pasted = _to_image(restored, transform, region)
    else:
        # One call for all channels, since computing the positions of the pixels takes as long as reading them.
        warped = _to_image(torch.cat([restored, before, unchanged]), transform, region)
        lost_detail = original[window] - warped[3:6]
        pasted = warped[:3] + warped[6:].clamp(0.0, 1.0) * lost_detail
    current = target.image[window]
    blended = torch.lerp(current, pasted.clamp(-1.0, 1.0), mask)
    target.image[window] = torch.where(inside, blended, current)
    target.mask[window[1:]] = torch.maximum(target.mask[window[1:]], mask)


def _to_image(crop: Tensor, transform: CropTransform, region: Region) -> Tensor:
    left, top, right, bottom = region
    return warp(crop, compose(shift(-left, -top), transform.image_from_crop), (bottom - top, right - left))


def _unchanged_mask(restored: Tensor, before: Tensor, detail: Detail) -> Tensor | None:
    """Return the mask of the places that get back their detail: (1, size, size), or None where there are none."""
    if detail == "always":
        return torch.ones_like(before[:1])
    if detail == "never":
        return None
    squared = (restored - before).square().mean(dim=0, keepdim=True)
    change = gaussian_blur(squared, _NEIGHBORHOOD * before.shape[-1]).sqrt()
    mask = ((_CHANGED_ABOVE - change) / (_CHANGED_ABOVE - _UNCHANGED_BELOW)).clamp(0.0, 1.0)
    return mask if bool((mask > 0.0).any()) else None


def _resized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    if _size(mask) == size:
        return mask
    return antialiased(mask.float()[None, None], size, "bilinear")[0, 0]


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _require_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(
            f"{name} {value} has no meaning.", expected=f"{low:g}..{high:g}", remedy=f"choose a {name} in that range"
        )


def _require_count(items: str, count: int, expected: int, owners: str) -> None:
    if count != expected:
        raise FaceError(
            f"There are {count} {items} for {expected} {owners}.",
            expected="one for each",
            remedy="connect the crops, masks and pictures that belong to these faces, in the same order",
        )
