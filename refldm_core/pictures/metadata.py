"""Metadata of a picture file: color profile, resolution, EXIF."""

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
"""Tags of the main EXIF directory that are copied. All others describe how the source file stores its pixels."""
_OMITTED_TAGS = (
    *(ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.IFD.Interop),
    ExifTags.Base.MakerNote,  # may hold a thumbnail, and offsets that are valid in the source file only
)
"""Tags of the exposure details that are not copied."""
_MAX_EXIF_BYTES = 65_000
"""A JPEG file cannot hold more EXIF data."""


@dataclass(frozen=True)
class Metadata:
    """Metadata that a result takes over from its source file.

    Attributes:
        profile: ICC color profile, or None.
        dpi: Pixels per inch along x and y, or None.
        exif: EXIF data in the form of a JPEG file, which begins with "Exif", or None. Orientation, thumbnail, sizes and
            the maker's notes are not in it.
        problem: Reason why EXIF data was left out. "" where none was.
    """

    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    problem: str = ""

    def for_pillow(self) -> dict[str, Any]:
        """Return arguments for `Image.save`. A format ignores the arguments that it cannot store."""
        arguments = {"icc_profile": self.profile, "dpi": self.dpi, "exif": self.exif}
        return {name: value for name, value in arguments.items() if value is not None}


def read_metadata(image: Image.Image, *, keep_location: bool = False) -> Metadata:
    """Read the metadata of a file.

    Args:
        image: The opened file, already loaded, because reading the EXIF data of a PNG file loads it.
        keep_location: Keep the place where the photo was taken (EXIF GPS).
    """
    dpi = _dpi(image)
    problem = ""
    try:
        exif = _exif(image, dpi, keep_location=keep_location)
        if exif is not None and len(exif) > _MAX_EXIF_BYTES:
            exif, problem = None, f"EXIF data of {len(exif)} bytes was left out"
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError, SyntaxError, struct.error):
        exif, problem = None, "damaged EXIF data was left out"
    return Metadata(image.info.get("icc_profile") or None, dpi, exif, problem)


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        x, y = (round(float(value), 2) for value in image.info["dpi"])  # PNG stores whole pixels per meter
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0.0 < x < math.inf and 0.0 < y < math.inf):
        return None
    swaps_axes = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (y, x) if swaps_axes else (x, y)


def _exif(image: Image.Image, dpi: tuple[float, float] | None, *, keep_location: bool) -> bytes | None:
    source, copied = image.getexif(), Image.Exif()
    for tag in _KEPT_TAGS & set(source):
        copied[tag] = source[tag]
    details = dict(source.get_ifd(ExifTags.IFD.Exif))
    for tag in _OMITTED_TAGS:
        details.pop(tag, None)
    directories = {
        ExifTags.IFD.Exif: details,
        ExifTags.IFD.GPSInfo: dict(source.get_ifd(ExifTags.IFD.GPSInfo)) if keep_location else {},
    }
    for tag, directory in directories.items():
        if directory:
            copied[tag] = directory
    if dpi is not None:  # a WebP file can store the resolution in its EXIF data only
        copied[ExifTags.Base.XResolution], copied[ExifTags.Base.YResolution] = dpi
        copied[ExifTags.Base.ResolutionUnit] = 2  # inch
    return copied.tobytes() if len(copied) else None
