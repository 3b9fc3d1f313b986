"""Reading of picture files with more than 8 bits a channel as uint16 samples.

Pillow reads all bits of a gray picture, but only the high byte of a 16-bit color. Pillow also has raw modes of the
opposite byte order. A second reading in such a mode gives the low byte.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..errors import ImageFileError
from .formats import readable_formats

Samples = NDArray[np.uint16]
"""(height, width, channels), 0..65535. Channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha."""

# TIFF tags.
_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _SAMPLE_FORMAT, _MIN_VALUE, _MAX_VALUE = 258, 262, 281, 339, 340, 341
_MIN_IS_WHITE, _SIGNED = 0, 2

_REVERSED = {
    f"{bands};16{order}": f"{bands};16{opposite}"
    for bands in ("RGB", "RGBX", "RGBA")
    for order, opposite in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
"""Raw mode of a 16-bit file -> the same raw mode in the opposite byte order."""
_GRAY_WITH_ALPHA = "LA;16B"

_LEVELS = ((np.arange(65_536) + 128) // 257).astype(np.uint8)
"""The nearest of 256 levels for each 16-bit value."""


def is_deep(image: Image.Image) -> bool:
    """Whether an opened file, not yet loaded, has more than 8 bits a channel."""
    bits: Sequence[int] = _tags(image).get(_BITS, ())
    return _is_gray(image) or any(";16" in raw for raw in _raw_modes(image)) or any(count > 8 for count in bits)


def has_more_than_16_bits(image: Image.Image) -> bool:
    """Whether a file for which `is_deep` holds has samples that do not fit into 16-bit integers unchanged."""
    return image.mode == "F" or _first(_tags(image), _BITS, 16) > 16


def read_samples(path: Path, image: Image.Image) -> Samples:
    """Read the samples of a file for which `is_deep` holds, turned upright by its EXIF orientation.

    Gray samples of another type are scaled to 16-bit integers. Floats are scaled from 0..1, and integers from their
    whole range. The TIFF tags SMinSampleValue and SMaxSampleValue (or MaxSampleValue) may declare another range.

    Args:
        path: Path of the file.
        image: The same file, opened by Pillow and not yet loaded.

    Raises:
        ImageFileError: Pillow cannot read the layout without loss, or the range of the samples is unknown.
        OSError, ValueError: Pillow raises these for a damaged file.
    """
    if _is_gray(image):
        tags = dict(_tags(image))
        return _gray(path, np.asarray(ImageOps.exif_transpose(image)), image.mode, tags)[..., None]
    raw_modes = _raw_modes(image)
    if raw_modes == {_GRAY_WITH_ALPHA}:
        # Four bytes a pixel, like RGBA: high and low byte of gray, then of alpha.
        bytes_of_pixels = _read_as(path, {_GRAY_WITH_ALPHA: "RGBA"})
        return _join(bytes_of_pixels[..., ::2], bytes_of_pixels[..., 1::2])
    if not raw_modes or not raw_modes <= _REVERSED.keys():
        raise ImageFileError(
            f"{path} has more than 8 bits a channel in a layout that cannot be read without loss.",
            expected="gray or RGB of 16 bits with interleaved channels, as most programs write it",
            remedy="save it as a 16-bit PNG file",
        )
    return _join(np.asarray(ImageOps.exif_transpose(image), np.uint8), _read_as(path, _REVERSED))


def to_eight_bits(samples: Samples) -> NDArray[np.uint8]:
    """Round samples to the nearest of 256 levels."""
    return _LEVELS[samples]


def _is_gray(image: Image.Image) -> bool:
    return image.mode in ("F", "I") or image.mode.startswith("I;16")


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return getattr(image, "tag_v2", {})


def _raw_modes(image: Image.Image) -> set[str]:
    # The tiles of a GIF file have numbers instead of names of raw modes.
    return {str(_arguments(tile)[0]) for tile in _tiles(image)}


def _tiles(image: Image.Image) -> list[Any]:
    return list(getattr(image, "tile", []))


def _arguments(tile: Any) -> tuple[Any, ...]:
    return (tile[3],) if isinstance(tile[3], str) else tuple(tile[3] or ("",))


def _read_as(path: Path, raw_modes: Mapping[str, str]) -> NDArray[np.uint8]:
    """Read the bytes of a file with other raw modes than its own, turned upright."""
    image: Any = Image.open(path, formats=readable_formats())
    with image:
        image.tile = [_with_raw_mode(tile, raw_modes[_arguments(tile)[0]]) for tile in image.tile]
        return np.asarray(ImageOps.exif_transpose(image), np.uint8)


def _join(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> Samples:
    samples = high.astype(np.uint16)
    samples <<= 8  # in place: large pictures would need several times their memory
    samples |= low
    return samples


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    arguments = raw_mode if isinstance(tile[3], str) else (raw_mode, *tile[3][1:])
    # Newer versions of Pillow require a named tuple of their own.
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _gray(path: Path, values: NDArray[Any], mode: str, tags: Mapping[int, Any]) -> Samples:
    bits, signed = int(_first(tags, _BITS, 16)), _first(tags, _SAMPLE_FORMAT, 1) == _SIGNED
    if mode == "I" and bits == 32 and not signed:
        values = values.astype(np.int64) % 2**32  # Pillow stores unsigned samples in signed integers
    if mode == "F":
        low, high = _first(tags, _MIN_VALUE, 0.0), _first(tags, _MAX_VALUE, 1.0)
    elif bits == 32:
        low, high = 0, _first(tags, _MAX_VALUE, _first(tags, _MAX_SAMPLE, 2 ** (bits - signed) - 1))
    else:
        low, high = 0, 2 ** (bits - signed) - 1
    _require_range(path, values, float(low), float(high), is_certain=mode != "F" and bits <= 16)
    if (low, high) != (0, 65535):
        values = np.rint((values.astype(np.float64) - low) * (65535.0 / (high - low)))
    samples = values.astype(np.uint16)
    return ~samples if tags.get(_PHOTOMETRIC) == _MIN_IS_WHITE else samples


def _first(tags: Mapping[int, Any], tag: int, default: float) -> float:
    """Return the first number of a tag. Some tags have a number for each channel."""
    return float(np.ravel(tags.get(tag, default))[0])


def _require_range(path: Path, values: NDArray[Any], low: float, high: float, *, is_certain: bool) -> None:
    """Refuse samples outside low..high, and samples that would all turn black because their true range is smaller."""
    smallest, largest = float(values.min()), float(values.max())
    fits = low < high and low <= smallest and largest <= high  # False for NaN
    if fits and (is_certain or largest == low or largest - low >= (high - low) / 256.0):
        return
    raise ImageFileError(
        f"{path} has samples from {smallest:g} to {largest:g}, and nothing says which of them is white.",
        expected=f"samples from {low:g} to {high:g}",
        remedy="save it as a 16-bit PNG or TIFF file, or as floats from 0 to 1",
    )
