"""What a picture file says besides its pixels: color profile, resolution, EXIF."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

_KEPT_TAGS = frozenset(
    {
        *(ExifTags.Base.DocumentName, ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model),
        *(ExifTags.Base.Software, ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.HostComputer),
        *(ExifTags.Base.Copyright, ExifTags.Base.Rating, ExifTags.Base.RatingPercent),
        *(ExifTags.Base.XPTitle, ExifTags.Base.XPComment, ExifTags.Base.XPAuthor, ExifTags.Base.XPKeywords),
        ExifTags.Base.XPSubject,
    }
)
"""Of the main directory. The others say how the pixels lie in the file that was read."""
_LEFT_OUT = (
    *(ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.IFD.Interop),
    ExifTags.Base.MakerNote,  # may hold a thumbnail, and places in the file that was read
)
"""Of the directory of exposure details."""
_LONGEST = 65_000
"""Bytes: a JPEG file holds no longer EXIF data."""


@dataclass(frozen=True)
class Metadata:
    """What a result takes over from the file that it was made from.

    Attributes:
        profile: ICC color profile, or None.
        dpi: pixels per inch along x and y, or None.
        exif: as in a JPEG file, beginning with "Exif", or None. Without orientation, thumbnail, sizes and the maker's
            notes.
        problem: why some of it was left out, empty where nothing was.
    """

    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    problem: str = ""

    def for_pillow(self) -> dict[str, Any]:
        """Arguments for `Image.save`; formats that cannot hold one of them ignore it."""
        named = {"icc_profile": self.profile, "dpi": self.dpi, "exif": self.exif}
        return {name: value for name, value in named.items() if value is not None}


def read_metadata(image: Image.Image, *, keep_location: bool = False) -> Metadata:
    """Read the metadata of a file.

    Args:
        image: the opened file, loaded already: asking a PNG file for its EXIF data loads it.
        keep_location: keep where the photo was taken (EXIF GPS).
    """
    dpi = _dpi(image)
    problem = ""
    try:
        exif = _exif(image, dpi, keep_location=keep_location)
        if exif is not None and len(exif) > _LONGEST:
            exif, problem = None, f"EXIF data of {len(exif)} bytes was left out"
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError, SyntaxError, struct.error):
        exif, problem = None, "damaged EXIF data was left out"
    return Metadata(image.info.get("icc_profile") or None, dpi, exif, problem)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        x, y = (round(float(value), 2) for value in image.info["dpi"])  # PNG files count whole pixels per meter
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0.0 < x < math.inf and 0.0 < y < math.inf):
        return None
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (y, x) if turned else (x, y)


def _exif(image: Image.Image, dpi: tuple[float, float] | None, *, keep_location: bool) -> bytes | None:
    source, copied = image.getexif(), Image.Exif()
    for tag in _KEPT_TAGS & set(source):
        copied[tag] = source[tag]
    details = dict(source.get_ifd(ExifTags.IFD.Exif))
    for tag in _LEFT_OUT:
        details.pop(tag, None)
    directories = {
        ExifTags.IFD.Exif: details,
        ExifTags.IFD.GPSInfo: dict(source.get_ifd(ExifTags.IFD.GPSInfo)) if keep_location else {},
    }
    for tag, directory in directories.items():
        if directory:
            copied[tag] = directory
    if dpi is not None:  # the only place where a WebP file has it
        copied[ExifTags.Base.XResolution], copied[ExifTags.Base.YResolution] = dpi
        copied[ExifTags.Base.ResolutionUnit] = 2  # inch
    return copied.tobytes() if len(copied) else None
