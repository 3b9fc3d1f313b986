"""The one place that converts pictures between files, PIL and tensors.

Convention: a model tensor is (batch, 3, height, width) float32 in [-1, 1]; a ComfyUI IMAGE is (batch, height, width, 3)
float32 in [0, 1].
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

MIN_SIDE = 8
"""Pixels; a picture with a shorter side cannot show a face."""

_QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
}
_DAMAGED = (
    *(OSError, ValueError, SyntaxError, RuntimeError, LookupError, ArithmeticError, TypeError, AttributeError),
    *(EOFError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow's readers raise for damaged files: whatever they happen to meet."""


def load_image(path: Path) -> Image.Image:
    """Read a picture as 8-bit sRGB, upright by its EXIF orientation.

    Colors go through the file's profile, 16-bit samples are rounded, transparency is put on white.

    Raises:
        ImageFileError: missing, not a picture, damaged, with a side below `MIN_SIDE`, or with samples whose range is
            not known.
    """
    with open_image(path) as opened:
        return decode(path, opened).srgb()


@contextmanager
def open_image(path: Path) -> Generator[Image.Image, None, None]:
    """Open a picture file, with this package's errors for opening it and for what the block reads of it.

    Raises:
        ImageFileError: missing, not a picture, damaged, or with a side below `MIN_SIDE`.
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
            f"{path} cannot be read: {_reason(error)}.", expected="a whole picture", remedy="copy or save it again"
        ) from error


def _reason(error: Exception) -> str:
    """One short line; the operating system's reason without the path, which the message names already."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).splitlines()[0].removesuffix(".")[:200]


def _require_size(path: Path, image: Image.Image) -> None:
    if min(image.size) < MIN_SIDE:
        raise ImageFileError(
            f"{path} is {image.width}x{image.height} pixels, too small to show a face.",
            expected=f"at least {MIN_SIDE} pixels along each side",
            remedy="use a larger version of the picture",
        )


def to_tensor(image: Image.Image, size: int) -> Tensor:
    """RGB picture -> (3, size, size) in [-1, 1], resized with PIL's bicubic filter, aspect ratio ignored.

    The published inference does the same, and its numbers depend on the filter.
    """
    resized = image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC)
    return to_full_tensor(resized)


def to_full_tensor(image: Image.Image) -> Tensor:
    """RGB picture -> (3, height, width) in [-1, 1], at its own size."""
    return u8_to_tensor(torch.as_tensor(np.array(image)).movedim(-1, -3))


def resize(images: Tensor, size: int) -> Tensor:
    """(batch, 3, height, width) -> (batch, 3, size, size), bicubic and antialiased; clamped to [-1, 1]."""
    if images.shape[-2:] == (size, size):
        return images
    return antialiased(images, (size, size), "bicubic").clamp(-1.0, 1.0)


def antialiased(images: Tensor, size: tuple[int, int], mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """Resize (batch, c, height, width) to `size`, (height, width), with PIL's filters; on the images' device.

    Unlike torch's plain bicubic kernel (a = -0.75), the antialiased one is PIL's (a = -0.5), also where it enlarges.
    """
    if images.device.type == "mps":  # Apple's GPUs have no such kernel before torch 2.7
        return antialiased(images.cpu(), size, mode).to(images.device)
    return F.interpolate(images, size, mode=mode, antialias=True, align_corners=False)


def u8_to_tensor(values: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1], the same shape."""
    return values.float() / 127.5 - 1.0


def tensor_to_u8(values: Tensor) -> Tensor:
    """Values in [-1, 1] (others are clamped) -> uint8 of the same shape, truncated as the published script does."""
    return (((values + 1.0) / 2.0).clamp(0.0, 1.0) * 255.0).to(torch.uint8)


def round_to_u8(values: Tensor) -> Tensor:
    """Values in [-1, 1] (others are clamped) -> the nearest uint8: gives back exactly what `u8_to_tensor` was given."""
    return ((values + 1.0) * 127.5).round().clamp(0.0, 255.0).to(torch.uint8)


def to_pil(image: Tensor, *, rounded: bool = False) -> Image.Image:
    """(3, height, width) in [-1, 1] -> RGB picture, truncated as the published script does, or rounded."""
    values = round_to_u8(image.cpu()) if rounded else tensor_to_u8(image.cpu())
    return Image.fromarray(values.movedim(0, -1).contiguous().numpy())


def bhwc_to_model(images: Tensor) -> Tensor:
    """ComfyUI IMAGE (batch, height, width, 3 or 4) in [0, 1] -> (batch, 3, height, width) in [-1, 1]."""
    return images[..., :3].movedim(-1, 1).float() * 2.0 - 1.0


def model_to_bhwc(images: Tensor) -> Tensor:
    """(batch, 3, height, width) in [-1, 1] (others are clamped) -> ComfyUI IMAGE in [0, 1]."""
    return ((images.float() + 1.0) / 2.0).clamp(0.0, 1.0).movedim(1, -1).contiguous()


def save_image(image: Image.Image, path: Path, metadata: Metadata | None = None) -> None:
    """Write a picture; the format is the name's ending. JPEG files get quality 95 and whole colors (4:4:4).

    Args:
        image: of any mode that the format can hold.
        path: of the file.
        metadata: what the file shall say besides, as far as the format can.

    Raises:
        OutputError: an ending that is no format's, no folder, no permission or no room. `path` is then as before.
    """
    name = image_format(path)
    options = _QUALITY.get(name, {}) | (metadata.for_pillow() if metadata else {})
    with atomic_write(path) as temporary:
        image.save(temporary, name, **options)


def image_format(path: Path) -> str:
    """Pillow's name of the format that a name's ending means.

    Raises:
        OutputError: pictures of that ending cannot be written.
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
    """Check a name's ending; errors as `image_format`."""
    image_format(path)
