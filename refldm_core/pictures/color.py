"""Color profiles (ICC): conversion from the color space of a file to sRGB, and back.

Pillow's littlecms converts the colors, with the relative colorimetric intent and black point compensation.
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
# Grid points along each channel. 5 and 85 divide 255, so that all grid points are whole 8-bit levels.
_PROBES, _NODES = 6, 86
_IDENTITY_TOLERANCE = 2  # levels of 256; the sRGB profiles of different authors differ by less


@dataclass(frozen=True, eq=False)
class ColorSpace:
    """A color space other than sRGB, described by an ICC profile.

    Attributes:
        name: The profile's own description.
        transform: Conversion from this space to sRGB.
        table: (channels, r, g, b) in [-1, 1]: a regular grid of sRGB colors, converted to this space. None where the
            profile cannot convert from sRGB, as for printing presses and some scanners.
    """

    name: str
    transform: ImageCms.ImageCmsTransform
    table: Tensor | None

    def to_srgb(self, image: Image.Image) -> Image.Image:
        """Convert a picture of the profile's mode (L, RGB or CMYK) to RGB in sRGB. Colors outside sRGB are clipped."""
        converted = ImageCms.applyTransform(image, self.transform)
        assert converted is not None  # Pillow returns None only when it changes a picture in place
        return converted

    def from_srgb(self, images: Tensor) -> Tensor:
        """Convert values from sRGB to this space. A gray space gives three equal channels.

        littlecms converts 8-bit levels only. Interpolation in a table of its results keeps the values between two
        levels smooth.

        Args:
            images: (batch, 3, height, width) in [-1, 1]. The result has the same shape and range.
        """
        assert self.table is not None
        table = self.table.to(images)
        blue_green_red = images.movedim(1, -1).flip(-1).unsqueeze(1)  # grid_sample counts from the last dimension
        sampled = F.grid_sample(
            table.expand(len(images), *table.shape), blue_green_red, padding_mode="border", align_corners=True
        )
        return sampled.squeeze(2).expand(-1, 3, -1, -1)


class UnusableProfileError(Exception):
    """A color profile that littlecms cannot apply to the picture in the same file."""


@lru_cache(maxsize=16)
def color_space(profile: bytes, mode: str) -> ColorSpace | None:
    """Return the color space that a profile describes, or None for sRGB itself (up to rounding).

    Args:
        profile: Content of the ICC profile.
        mode: Pillow's mode of the pictures: L, RGB or CMYK.

    Raises:
        UnusableProfileError: The profile is damaged, or belongs to another mode.
    """
    try:
        opened_profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = _transform(opened_profile, _srgb(), mode, "RGB")
        name = ImageCms.getProfileDescription(opened_profile).strip()
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        raise UnusableProfileError(str(error)) from error
    probes = _grid(_PROBES) if mode == "RGB" else np.arange(256, dtype=np.uint8)[:, None]
    if mode != "CMYK" and _is_identity(probes, transform, mode):
        return None
    try:
        from_srgb = None if mode == "CMYK" else _transform(_srgb(), opened_profile, "RGB", mode)
    except ImageCms.PyCMSError:
        from_srgb = None
    return ColorSpace(name, transform, None if from_srgb is None else _table(from_srgb))


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture of mode LAB to RGB in sRGB. Lab colors need no profile."""
    converted = ImageCms.applyTransform(image, _transform(_built_in("LAB"), _srgb(), "LAB", "RGB"))
    assert converted is not None
    return converted


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return an ICC profile of sRGB."""
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
    """Return a regular grid of RGB levels: (steps ** 3, 3), in which blue changes fastest."""
    levels = np.linspace(0, 255, steps).astype(np.uint8)
    return np.reshape(np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1), (-1, 3))


def _convert(levels: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform) -> NDArray[np.uint8]:
    """Convert levels (n, channels) to (n, channels of the target space)."""
    row = levels[None] if levels.shape[1] > 1 else np.reshape(levels, (1, -1))
    converted = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(row)), transform)
    return np.reshape(np.array(converted, np.uint8), (len(levels), -1))


def _is_identity(probes: NDArray[np.uint8], transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    return int(np.abs(_convert(probes, transform).astype(int) - probes).max()) <= _IDENTITY_TOLERANCE


def _table(from_srgb: ImageCms.ImageCmsTransform) -> Tensor:
    converted = _convert(_grid(_NODES), from_srgb)
    values = torch.as_tensor(converted).float() / 127.5 - 1.0
    return values.T.reshape(-1, _NODES, _NODES, _NODES).contiguous()
