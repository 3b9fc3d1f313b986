"""Convert pictures between files, PIL images and tensors. No other module does it.

A model tensor is (batch, 3, height, width) float32 in [-1, 1]. A ComfyUI IMAGE is (batch, height, width, 3) float32 in
[0, 1].
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from .errors import ImageFileError, OutputError
from .files import atomic_write, require_regular
from .out_of_memory import is_out_of_memory
from .pictures.decoding import decode
from .pictures.formats import FORMAT_NAMES, readable_formats, writable_format
from .pictures.metadata import Metadata
from .pictures.samples import is_deep

MIN_SIDE = 8
"""Pixels. A picture with a shorter side cannot show a face."""

_MOST_PIXELS, _MOST_COSTLY_PIXELS = 40_000_000, 16_000_000
"""Pixels of a picture whose decoding takes less than 500 MB. `_is_costly` tells which limit applies."""
_PIXELS_OF_A_BYTE = 32
"""Most pixels for a byte of a larger picture's file. Photos have a few, a picture of one color may have hundreds."""

_QUALITY: dict[str, dict[str, Any]] = {
    # Pillow's default, level 6, takes 2.7 times as long for photos, and makes files 7% smaller (docs/speed.md).
    "PNG": {"compress_level": 4},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
}
_DAMAGED = (
    *(OSError, ValueError, SyntaxError, RuntimeError, LookupError, ArithmeticError, TypeError, AttributeError),
    *(EOFError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""Errors that Pillow's readers raise for damaged files."""


def load_image(path: Path) -> Image.Image:
    """Read a picture as 8-bit sRGB, turned upright by its EXIF orientation.

    The colors are converted with the file's profile. 16-bit samples are rounded. Transparent parts show white.

    Raises:
        ImageFileError: As for `open_image`. Or the range of the samples is unknown.
    """
    with open_image(path) as opened:
        return decode(path, opened).srgb()


@contextmanager
def open_image(path: Path) -> Generator[Image.Image, None, None]:
    """Open a picture file. Errors of opening the file and of reading it in the block become an ImageFileError.

    Raises:
        ImageFileError: The file is missing, damaged or no picture. Or a side is shorter than `MIN_SIDE`, or a small
            file holds a very large picture, which could fill the memory.
    """
    try:
        opened: Image.Image = Image.open(require_regular(path), formats=readable_formats())
        with opened:
            _require_size(path, opened)
            yield opened
    except FileNotFoundError as error:
        raise ImageFileError(
            f"There is no file {path}.", expected="a picture", remedy="check the path for typing mistakes"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageFileError(
            f"{path} is not a picture that can be read.",
            expected=FORMAT_NAMES,
            remedy="convert it to PNG or JPEG",
        ) from error
    except _DAMAGED as error:
        if is_out_of_memory(error):
            raise
        raise ImageFileError(
            f"{path} cannot be read: {_reason(error)}.", expected="a complete picture", remedy="copy or save it again"
        ) from error


def _reason(error: Exception) -> str:
    """Return one short line: the operating system's reason without the path, or the text of another error."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).splitlines()[0].removesuffix(".")[:200]


def _require_size(path: Path, image: Image.Image) -> None:
    if min(image.size) < MIN_SIDE:
        raise ImageFileError(
            f"{path} is {image.width}x{image.height} pixels, too small to show a face.",
            expected=f"at least {MIN_SIDE} pixels along each side",
            remedy="use a larger version of the picture",
        )
    pixels, limit = image.width * image.height, _MOST_COSTLY_PIXELS if _is_costly(image) else _MOST_PIXELS
    stored = path.stat().st_size
    if pixels > limit and pixels > _PIXELS_OF_A_BYTE * stored:
        raise ImageFileError(
            f"{path} has {pixels / 1e6:.0f} million pixels in a file of {stored / 1e6:.1f} MB, as no photo has.",
            expected=f"at most {limit / 1e6:.0f} million pixels, or a byte for every {_PIXELS_OF_A_BYTE} pixels",
            remedy="make the picture smaller, or save it with higher quality",
        )


def _is_costly(image: Image.Image) -> bool:
    """Whether decoding an opened file takes far more memory than three channels of 8 bits."""
    is_plain = image.mode in ("RGB", "L", "1") and not image.has_transparency_data
    return not is_plain or is_deep(image) or image.format in ("JPEG2000", "WEBP")


def to_tensor(image: Image.Image, size: int) -> Tensor:
    """Convert an RGB picture to (3, size, size) in [-1, 1]. PIL's bicubic filter resizes it, ignoring the aspect ratio.

    The published inference script does the same, and its results depend on the filter.
    """
    resized = image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)
    return to_full_tensor(resized)


def to_full_tensor(image: Image.Image) -> Tensor:
    """Convert an RGB picture to (3, height, width) in [-1, 1] without resizing it."""
    return u8_to_tensor(torch.as_tensor(np.array(image)).movedim(-1, -3))


def resize(images: Tensor, size: int) -> Tensor:
    """Resize (batch, 3, height, width) to (batch, 3, size, size), bicubic and antialiased, clamped to [-1, 1]."""
    if images.shape[-2:] == (size, size):
        return images
    return antialiased(images, (size, size), "bicubic").clamp(-1.0, 1.0)


def antialiased(images: Tensor, size: tuple[int, int], mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """Resize (batch, c, height, width) with PIL's filters. The result is on the images' device.

    torch's antialiased bicubic kernel is PIL's (a = -0.5), also for enlarging. Its plain bicubic kernel has a = -0.75.

    Args:
        images: Pictures in any range.
        size: New height and width.
        mode: The filter.
    """
    if images.device.type == "mps":  # before torch 2.7, Apple's GPUs have no such kernel
        return antialiased(images.cpu(), size, mode).to(images.device)
    return F.interpolate(images, size, mode=mode, antialias=True, align_corners=False)


def u8_to_tensor(values: Tensor) -> Tensor:
    """Convert uint8 0..255 to float32 in [-1, 1]."""
    return values.float() / 127.5 - 1.0


def tensor_to_u8(values: Tensor) -> Tensor:
    """Convert values in [-1, 1] to uint8. Truncate, as the published script does. Clamp values outside the range."""
    return (((values + 1.0) / 2.0).clamp(0.0, 1.0) * 255.0).to(torch.uint8)


def round_to_u8(values: Tensor) -> Tensor:
    """Convert values in [-1, 1] to the nearest uint8, the exact inverse of `u8_to_tensor`. Clamp values outside."""
    return ((values + 1.0) * 127.5).round().clamp(0.0, 255.0).to(torch.uint8)


def to_pil(image: Tensor, *, rounded: bool = False) -> Image.Image:
    """Convert (3, height, width) in [-1, 1] to an RGB picture.

    Args:
        image: The picture.
        rounded: Whether to round to the nearest level. Otherwise levels are truncated, as the published script does.
    """
    values = round_to_u8(image.cpu()) if rounded else tensor_to_u8(image.cpu())
    return Image.fromarray(values.movedim(0, -1).contiguous().numpy())


def bhwc_to_model(images: Tensor) -> Tensor:
    """Convert a ComfyUI IMAGE (batch, height, width, 3 or 4) in [0, 1] to (batch, 3, height, width) in [-1, 1]."""
    return images[..., :3].movedim(-1, 1).float() * 2.0 - 1.0


def model_to_bhwc(images: Tensor) -> Tensor:
    """Convert (batch, 3, height, width) in [-1, 1] to a ComfyUI IMAGE in [0, 1]. Clamp values outside the range."""
    return ((images.float() + 1.0) / 2.0).clamp(0.0, 1.0).movedim(1, -1).contiguous()


def save_image(image: Image.Image, path: Path, metadata: Metadata | None = None) -> None:
    """Write a picture. The path's ending decides the format. JPEG files get quality 95 and full color (4:4:4).

    Args:
        image: A picture of any mode that the format can hold.
        path: Path of the file.
        metadata: Profile, resolution and EXIF data for the file. The format may not hold all of it.

    Raises:
        OutputError: No format has the path's ending. Or there is no folder, no permission or no space. `path` is
            unchanged.
    """
    name = image_format(path)
    options = _QUALITY.get(name, {}) | (metadata.for_pillow() if metadata else {})
    with atomic_write(path) as temporary:
        image.save(temporary, name, **options)


def image_format(path: Path) -> str:
    """Return Pillow's name of the format that belongs to a path's ending.

    Raises:
        OutputError: Pictures with that ending cannot be written.
    """
    name = writable_format(path)
    if name is None:
        raise OutputError(
            f'"{path.name}" does not end in a picture format.',
            expected="a name ending in .png, .jpg, .webp or .tif",
            remedy="name the output result.png, for instance",
        )
    return name


def require_image_format(path: Path) -> None:
    """Check that pictures with a path's ending can be written. Errors are as for `image_format`."""
    image_format(path)
