"""An opened picture file -> its own values, upright, and what they look like in sRGB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .color import ColorSpace, UnusableProfileError, color_space, lab_to_srgb, srgb_profile
from .samples import Samples, has_more_than_16_bits, is_deep, read_samples, to_eight_bits


@dataclass(frozen=True, eq=False)
class Decoded:
    """A picture as its file has it, upright.

    Attributes:
        picture: 8 bits a channel, mode L or RGB, in the file's color space, without transparency.
        alpha: its opacity, mode L, or None.
        samples: the same with 16 bits a channel, gray or RGB with or without alpha; None where the file has 8.
        space: the color space of the values, None for sRGB.
        profile: the ICC profile of the values: the file's own, sRGB's where they had to be converted, or None.
        note: what a user must know of how the file was read, or "".
    """

    picture: Image.Image
    alpha: Image.Image | None = None
    samples: Samples | None = None
    space: ColorSpace | None = None
    profile: bytes | None = None
    note: str = ""

    def on_white(self) -> Image.Image:
        """The picture with what is transparent put on white, in its own color space."""
        if self.alpha is None:
            return self.picture
        return Image.composite(self.picture, Image.new(self.picture.mode, self.picture.size, "white"), self.alpha)

    def srgb(self) -> Image.Image:
        """The same as 8-bit RGB in sRGB."""
        picture = self.on_white()
        if self.space is not None:
            return self.space.to_srgb(picture)
        return picture if picture.mode == "RGB" else picture.convert("RGB")


def decode(path: Path, opened: Image.Image) -> Decoded:
    """Read the pixels of a file.

    Args:
        path: of the file.
        opened: the same file, not yet loaded.

    Raises:
        ImageFileError: as `read_samples`.
        OSError, ValueError, SyntaxError: as Pillow raises them for a damaged file.
    """
    profile: bytes | None = opened.info.get("icc_profile")
    if opened.mode == "LAB":
        note = "its Lab colors were converted to sRGB, and the result is sRGB with 8 bits a channel"
        return Decoded(lab_to_srgb(ImageOps.exif_transpose(opened)), profile=srgb_profile(), note=note)
    if opened.mode == "CMYK":
        return _from_cmyk(ImageOps.exif_transpose(opened), profile)
    if is_deep(opened):
        note = "its samples were scaled to 16 bits" if has_more_than_16_bits(opened) else ""
        samples = read_samples(path, opened)
        return _in_space(Decoded(*_eight_bits(samples), samples, note=note), profile)
    return _in_space(Decoded(*_without_alpha(ImageOps.exif_transpose(opened))), profile)


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Decoded:
    space, how = None, "roughly, since it has no color profile,"
    if profile is not None:
        try:
            space, how = color_space(profile, "CMYK"), "through its profile"
        except UnusableProfileError:
            how = "roughly, since its color profile cannot be used,"
    rgb = image.convert("RGB") if space is None else space.to_srgb(image)
    note = f"its CMYK colors were converted to sRGB {how} and the result is sRGB with 8 bits a channel"
    return Decoded(rgb, profile=srgb_profile(), note=note)


def _eight_bits(samples: Samples) -> tuple[Image.Image, Image.Image | None]:
    levels = to_eight_bits(samples)
    if levels.shape[2] in (1, 2):
        colors = Image.fromarray(np.ascontiguousarray(levels[..., 0]))
    else:
        colors = Image.fromarray(np.ascontiguousarray(levels[..., :3]))
    return colors, Image.fromarray(np.ascontiguousarray(levels[..., -1])) if levels.shape[2] in (2, 4) else None


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    is_gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        with_alpha = image.convert("LA" if is_gray else "RGBA")
        return with_alpha.convert("L" if is_gray else "RGB"), with_alpha.getchannel("A")
    return image.convert("L" if is_gray else "RGB"), None


def _in_space(decoded: Decoded, profile: bytes | None) -> Decoded:
    """With the color space that the profile describes, or in sRGB where nothing leads back to that space."""
    if profile is None:
        return decoded
    try:
        space = color_space(profile, decoded.picture.mode)
    except UnusableProfileError:
        note = "its color profile cannot be used and was left out; its colors were taken for sRGB"
        return replace(decoded, note=note)
    if space is None or space.table is not None:
        return replace(decoded, space=space, profile=profile)
    depth = "" if decoded.samples is None else " with 8 bits a channel"
    note = f"its color profile ({space.name}) has no way back, so the result is sRGB{depth}"
    return Decoded(space.to_srgb(decoded.picture), decoded.alpha, profile=srgb_profile(), note=note)
