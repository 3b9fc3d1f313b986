"""Samples of more than 8 bits in picture files -> uint16.

Pillow reads gray pictures of more than 8 bits whole. Of a 16-bit color it keeps the high byte only, but it also knows
the raw modes of the opposite byte order: the same file read with the order reversed gives the low byte.
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
"""(height, width, channels), 0..65535: 1 is gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha."""

# TIFF tags.
_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _SAMPLE_FORMAT, _MIN_VALUE, _MAX_VALUE = 258, 262, 281, 339, 340, 341
_MIN_IS_WHITE, _SIGNED = 0, 2

_REVERSED = {
    f"{bands};16{order}": f"{bands};16{opposite}"
    for bands in ("RGB", "RGBX", "RGBA")
    for order, opposite in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
"""Raw mode of a 16-bit file -> the one of the other byte order."""
_GRAY_WITH_ALPHA = "LA;16B"


def is_deep(image: Image.Image) -> bool:
    """Whether an opened file, not yet loaded, has more than 8 bits a channel."""
    bits: Sequence[int] = _tags(image).get(_BITS, ())
    return _is_gray(image) or any(";16" in raw for raw in _raw_modes(image)) or any(count > 8 for count in bits)


def has_more_than_16_bits(image: Image.Image) -> bool:
    """Whether a file that `is_deep` has samples which 16-bit integers cannot hold as they are."""
    return image.mode == "F" or _first(_tags(image), _BITS, 16) > 16


def read_samples(path: Path, image: Image.Image) -> Samples:
    """Read the samples of a file that `is_deep`, upright by its EXIF orientation.

    Gray of another type than 16-bit integers is scaled to them: floats from 0..1, integers from their whole range, or
    from the range that the TIFF tags SMinSampleValue and SMaxSampleValue (or MaxSampleValue) declare.

    Args:
        path: of the file.
        image: the same file, opened and not yet loaded.

    Raises:
        ImageFileError: a layout that cannot be read without loss, or numbers whose range is not known.
        OSError, ValueError: as Pillow raises them for a damaged file.
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
    """The nearest of 256 levels."""
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _is_gray(image: Image.Image) -> bool:
    return image.mode in ("F", "I") or image.mode.startswith("I;16")


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return getattr(image, "tag_v2", {})


def _raw_modes(image: Image.Image) -> set[str]:
    # GIF tiles have numbers in that place.
    return {str(_arguments(tile)[0]) for tile in _tiles(image)}


def _tiles(image: Image.Image) -> list[Any]:
    return list(getattr(image, "tile", []))


def _arguments(tile: Any) -> tuple[Any, ...]:
    return (tile[3],) if isinstance(tile[3], str) else tuple(tile[3] or ("",))


def _read_as(path: Path, raw_modes: Mapping[str, str]) -> NDArray[np.uint8]:
    """The file's bytes with other raw modes than its own, upright."""
    opened: Any = Image.open(path, formats=readable_formats())
    with opened:
        opened.tile = [_with_raw_mode(tile, raw_modes[_arguments(tile)[0]]) for tile in opened.tile]
        return np.asarray(ImageOps.exif_transpose(opened), np.uint8)


def _join(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> Samples:
    return np.asarray(high.astype(np.uint16) << 8 | low, np.uint16)


def _with_raw_mode(tile: Any, raw_mode: str) -> Any:
    arguments = raw_mode if isinstance(tile[3], str) else (raw_mode, *tile[3][1:])
    # Newer Pillow versions ask for their own kind of tuple.
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)


def _gray(path: Path, values: NDArray[Any], mode: str, tags: Mapping[int, Any]) -> Samples:
    bits, signed = int(_first(tags, _BITS, 16)), _first(tags, _SAMPLE_FORMAT, 1) == _SIGNED
    if mode == "I" and bits == 32 and not signed:
        values = values.astype(np.int64) % 2**32  # Pillow keeps them in signed numbers
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
    """A tag's first number: some have one for each channel."""
    return float(np.ravel(tags.get(tag, default))[0])


def _require_range(path: Path, values: NDArray[Any], low: float, high: float, *, is_certain: bool) -> None:
    """Refuse samples outside of low..high, and those that would all be black because their range is another."""
    smallest, largest = float(values.min()), float(values.max())
    fits = low < high and low <= smallest and largest <= high  # False for NaN
    if fits and (is_certain or largest == low or largest - low >= (high - low) / 256.0):
        return
    raise ImageFileError(
        f"{path} has samples from {smallest:g} to {largest:g}, and nothing says which of them is white.",
        expected=f"samples from {low:g} to {high:g}",
        remedy="save it as a 16-bit PNG or TIFF file, or as floats from 0 to 1",
    )
