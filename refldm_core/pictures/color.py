"""Color profiles (ICC): what a file's numbers look like, in sRGB, and back.

Conversions are littlecms's, through Pillow, relative colorimetric with black point compensation.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from torch import Tensor
from torch.nn import functional as F

_BLACK_POINT_COMPENSATION = 0x2000  # littlecms's flag, for which older Pillow versions have no name
_PROBES, _NODES = 6, 86  # of 256 levels along each channel, so that both fall on whole levels
_SAME = 2  # levels: sRGB profiles of different authors differ by less


@dataclass(frozen=True, eq=False)
class ColorSpace:
    """The color space of a profile that is not sRGB's.

    Attributes:
        name: the profile's own description.
        transform: from the space to sRGB.
        table: (channels, r, g, b) in [-1, 1]: the space's values of a grid of sRGB colors. None where the profile has
            no way back, as those of presses and some scanners.
    """

    name: str
    transform: ImageCms.ImageCmsTransform
    table: Tensor | None

    def to_srgb(self, image: Image.Image) -> Image.Image:
        """A picture of the profile's mode (L, RGB or CMYK) -> RGB in sRGB; colors that sRGB lacks are clipped."""
        converted = ImageCms.applyTransform(image, self.transform)
        assert converted is not None  # it is only where a picture is changed in place
        return converted

    def from_srgb(self, images: Tensor) -> Tensor:
        """Values in sRGB -> values in this space; gray in three equal channels.

        littlecms converts 8-bit pictures. Interpolating its answers keeps values between its levels smooth.

        Args:
            images: (batch, 3, height, width) in [-1, 1]; the result has the same shape and range.
        """
        assert self.table is not None
        table = self.table.to(images)
        blue_green_red = images.movedim(1, -1).flip(-1).unsqueeze(1)  # grid_sample counts from the last dimension
        sampled = F.grid_sample(
            table.expand(len(images), *table.shape), blue_green_red, padding_mode="border", align_corners=True
        )
        return sampled.squeeze(2).expand(-1, 3, -1, -1)


class UnusableProfileError(Exception):
    """A color profile that littlecms cannot use for the pictures that it comes with."""


@lru_cache(maxsize=16)
def color_space(profile: bytes, mode: str) -> ColorSpace | None:
    """The color space that a profile describes; None where it is sRGB's, up to rounding.

    Args:
        profile: ICC.
        mode: of the pictures, as Pillow names it: L, RGB or CMYK.

    Raises:
        UnusableProfileError: a damaged profile, or one for another mode.
    """
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = _transform(opened, _srgb(), mode, "RGB")
        name = ImageCms.getProfileDescription(opened).strip()
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        raise UnusableProfileError(str(error)) from error
    probes = _grid(_PROBES) if mode == "RGB" else np.arange(256, dtype=np.uint8)[:, None]
    if mode != "CMYK" and _is_identity(probes, transform, mode):
        return None
    try:
        back = None if mode == "CMYK" else _transform(_srgb(), opened, "RGB", mode)
    except ImageCms.PyCMSError:
        back = None
    return ColorSpace(name, transform, None if back is None else _table(back))


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """A picture of mode LAB, whose numbers need no profile -> RGB in sRGB."""
    converted = ImageCms.applyTransform(image, _transform(_built_in("LAB"), _srgb(), "LAB", "RGB"))
    assert converted is not None
    return converted


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """An ICC profile of sRGB."""
    return _srgb().tobytes()


def _srgb() -> ImageCms.ImageCmsProfile:
    return _built_in("sRGB")


def _built_in(name: Literal["sRGB", "LAB"]) -> ImageCms.ImageCmsProfile:
    untyped: Any = ImageCms
    return ImageCms.ImageCmsProfile(untyped.createProfile(name))


def _transform(source: Any, target: Any, source_mode: str, target_mode: str) -> ImageCms.ImageCmsTransform:
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, cast(Any, _BLACK_POINT_COMPENSATION)
    return ImageCms.buildTransform(source, target, source_mode, target_mode, intent, flags)


def _grid(steps: int) -> NDArray[np.uint8]:
    """(steps ** 3, 3): RGB levels, blue the fastest."""
    levels = np.linspace(0, 255, steps).astype(np.uint8)
    return np.reshape(np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1), (-1, 3))


def _convert(levels: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform) -> NDArray[np.uint8]:
    """(n, channels) -> (n, channels of the result)."""
    row = levels[None] if levels.shape[1] > 1 else np.reshape(levels, (1, -1))
    converted = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(row)), transform)
    return np.reshape(np.array(converted, np.uint8), (len(levels), -1))


def _is_identity(probes: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    return int(np.abs(_convert(probes, transform).astype(int) - probes).max()) <= _SAME


def _table(back: ImageCms.ImageCmsTransform) -> Tensor:
    converted = _convert(_grid(_NODES), back)
    values = torch.as_tensor(converted).float() / 127.5 - 1.0
    return values.T.reshape(-1, _NODES, _NODES, _NODES).contiguous()
