"""Decoding picture files: upright pixels in the file's own color space, and their conversion to sRGB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from .color import ColorSpace, UnusableProfileError, color_space, lab_to_srgb, srgb_profile
from .samples import Samples, has_more_than_16_bits, is_deep, read_samples, to_eight_bits


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded picture file, turned upright.

    Attributes:
        picture: The colors with 8 bits a channel, mode L or RGB, in the file's color space, without transparency.
        alpha: The opacity, mode L. None where the file has no transparency.
        samples: The same values with 16 bits a channel: gray or RGB, with or without alpha. None where the file has 8
            bits a channel.
        space: The color space of the values. None for sRGB.
        profile: The ICC profile of the values: the file's own, or that of sRGB where the values had to be converted.
            None where the file has no usable profile.
        note: Side effects of decoding that the user must know. "" where there are none.
    """

    picture: Image.Image
    alpha: Image.Image | None = None
    samples: Samples | None = None
    space: ColorSpace | None = None
    profile: bytes | None = None
    note: str = ""

    def on_white(self) -> Image.Image:
        """Return the picture on a white background, in its own color space."""
        if self.alpha is None:
            return self.picture
        return Image.composite(self.picture, Image.new(self.picture.mode, self.picture.size, "white"), self.alpha)

    def srgb(self) -> Image.Image:
        """Return the picture on a white background as 8-bit RGB in sRGB."""
        picture = self.on_white()
        if self.space is not None:
            return self.space.to_srgb(picture)
        return picture if picture.mode == "RGB" else picture.convert("RGB")


def decode(path: Path, opened: Image.Image) -> Decoded:
    """Decode a picture file.

    Args:
        path: Path of the file.
        opened: The same file, opened by Pillow and not yet loaded.

    Raises:
        ImageFileError: See `read_samples`.
        OSError, ValueError, SyntaxError: Pillow raises these for a damaged file.
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
        return _with_space(Decoded(*_split_samples(samples), samples, note=note), profile)
    return _with_space(Decoded(*_split_alpha(_upright(opened))), profile)


def _upright(opened: Image.Image) -> Image.Image:
    """Load a picture and turn it upright. A picture that is upright already is not copied: it may be large."""
    opened.load()
    orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
    return opened if orientation == 1 else ImageOps.exif_transpose(opened)


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Decoded:
    space, method = None, "roughly, since it has no color profile,"
    if profile is not None:
        try:
            space, method = color_space(profile, "CMYK"), "through its profile"
        except UnusableProfileError:
            method = "roughly, since its color profile cannot be used,"
    rgb = image.convert("RGB") if space is None else space.to_srgb(image)
    note = f"its CMYK colors were converted to sRGB {method} and the result is sRGB with 8 bits a channel"
    return Decoded(rgb, profile=srgb_profile(), note=note)


def _split_samples(samples: Samples) -> tuple[Image.Image, Image.Image | None]:
    """Return the colors and the opacity (or None), each with 8 bits a channel."""
    levels = to_eight_bits(samples)
    if levels.shape[2] in (1, 2):
        colors = Image.fromarray(np.ascontiguousarray(levels[..., 0]))
    else:
        colors = Image.fromarray(np.ascontiguousarray(levels[..., :3]))
    return colors, Image.fromarray(np.ascontiguousarray(levels[..., -1])) if levels.shape[2] in (2, 4) else None


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colors and the opacity (or None) of a picture of 8 bits a channel."""
    is_gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        with_alpha = image.convert("LA" if is_gray else "RGBA")
        return with_alpha.convert("L" if is_gray else "RGB"), with_alpha.getchannel("A")
    mode = "L" if is_gray else "RGB"
    return image if image.mode == mode else image.convert(mode), None


def _with_space(decoded: Decoded, profile: bytes | None) -> Decoded:
    """Add the color space that the profile describes. Convert to sRGB where results cannot return to that space."""
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
