"""Read photos with their color space, depth and metadata, and write results with the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .errors import OutputError
from .files import atomic_write
from .images import image_format, open_image, round_to_u8, save_image, tensor_to_u8, to_full_tensor
from .photos import Canvas
from .pictures.color import srgb_profile
from .pictures.decoding import Decoded, decode
from .pictures.metadata import Metadata, read_metadata
from .pictures.samples import Samples
from .pictures.writing import encode_png, encode_tiff

_ENCODERS_OF_16_BITS = {"PNG": encode_png, "TIFF": encode_tiff}
_FORMATS_WITH_ALPHA = ("PNG", "TIFF", "WEBP", "AVIF")
_FORMATS_WITH_PROFILE = {"L": ("PNG", "TIFF", "JPEG"), "RGB": ("PNG", "TIFF", "JPEG", "WEBP", "AVIF")}


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that was read from a file.

    Attributes:
        path: Path of the file.
        decoded: The pixels.
        bits: Bits of a channel, 8 or 16.
        metadata: Profile, resolution and EXIF data for the file of the result.
        notes: Facts about reading the file that the user must know.
    """

    path: Path
    decoded: Decoded
    bits: int
    metadata: Metadata
    notes: tuple[str, ...]

    def srgb(self) -> Tensor:
        """Return the picture for the networks: (3, height, width) in [-1, 1], sRGB. Transparent parts show white."""
        decoded = self.decoded
        is_opaque_srgb = decoded.space is None and decoded.alpha is None
        return self._values() if is_opaque_srgb else to_full_tensor(decoded.srgb())

    def canvas(self) -> Canvas | None:
        """Return a canvas of the file's own values for restored faces. Return None where they equal `srgb`."""
        alpha, space = self.decoded.alpha, self.decoded.space
        if alpha is None and space is None and self.decoded.picture.mode == "RGB":
            return None
        opacity = None if alpha is None else torch.as_tensor(np.array(alpha, np.float32) / 255.0)
        return Canvas(self._values(), self.from_srgb, opacity)

    def from_srgb(self, images: Tensor) -> Tensor:
        """Convert sRGB pictures to the file's color space.

        Args:
            images: (batch, 3, height, width) in [-1, 1].

        Returns:
            The same shape and range. A gray file has three equal channels.
        """
        if self.decoded.space is not None:
            return self.decoded.space.from_srgb(images)
        return _to_gray(images) if self.decoded.picture.mode == "L" else images

    def for_crop(self) -> Photo:
        """Return the photo as RGB without transparency, for a result in which every pixel is new."""
        decoded = self.decoded
        if decoded.picture.mode == "RGB":
            return replace(self, decoded=replace(decoded, picture=decoded.on_white(), alpha=None))
        profile = None if decoded.space is None else srgb_profile()
        rgb = Decoded(decoded.srgb(), profile=profile)
        return replace(self, decoded=rgb, metadata=replace(self.metadata, profile=profile))

    def _values(self) -> Tensor:
        """Return the file's own values, (3, height, width) in [-1, 1]. A gray file has three equal channels."""
        samples = self.decoded.samples
        if samples is None:
            return to_full_tensor(self.decoded.picture.convert("RGB"))
        colors = samples[..., : 3 if samples.shape[2] > 2 else 1].astype(np.float32)
        return (torch.as_tensor(colors).movedim(-1, 0) / 32767.5 - 1.0).expand(3, -1, -1)


def load_photo(path: Path, *, keep_location: bool = False) -> Photo:
    """Read a photo.

    Args:
        path: Path of the file.
        keep_location: Whether the metadata keep the place where the photo was taken.

    Raises:
        ImageFileError: As for `load_image`.
    """
    with open_image(path) as opened:
        decoded = decode(path, opened)
        metadata = read_metadata(opened, keep_location=keep_location)
    notes = tuple(note for note in (decoded.note, metadata.problem) if note)
    bits = 8 if decoded.samples is None else 16
    return Photo(path, decoded, bits, replace(metadata, profile=decoded.profile), notes)


def require_format(photo: Photo, path: Path) -> tuple[str, ...]:
    """Check before long work that a result's format can hold the content of its photo.

    Returns:
        One sentence for each property of the photo that will be lost.

    Raises:
        OutputError: The format cannot be written. Or it cannot hold the photo's color profile, without which all
            colors would change.
    """
    target, mode = image_format(path), photo.decoded.picture.mode
    if photo.decoded.space is not None and target not in _FORMATS_WITH_PROFILE[mode]:
        raise OutputError(
            f"{path.name} cannot hold the color profile of {photo.path} ({photo.decoded.space.name}).",
            expected=f"a name that ends in {', '.join(f'.{name.lower()}' for name in _FORMATS_WITH_PROFILE[mode])}",
            remedy=f"name the output {path.with_suffix('.png').name}",
        )
    lost: list[str] = []
    if photo.bits == 16 and target not in _ENCODERS_OF_16_BITS:
        lost.append(f"{path.name} has 8 of its 16 bits a channel; PNG and TIFF files have all")
    if photo.decoded.alpha is not None and target not in _FORMATS_WITH_ALPHA:
        lost.append(f"{path.name} cannot be transparent, so the photo was put on white")
    return tuple(lost)


def save_photo(photo: Photo, image: Tensor, path: Path, *, truncated: bool = False) -> None:
    """Write a result with the depth, profile, resolution and EXIF data of its photo, if the format can hold them.

    Args:
        photo: The photo that the result was made from.
        image: The result, (3, height, width) in [-1, 1], in the photo's color space. Its size may be another.
        path: Path of the file. PNG and TIFF files get 16 bits a channel where the photo has 16.
        truncated: Whether 8-bit levels are rounded down, as the published script does.

    Raises:
        OutputError: As for `require_format` and `save_image`.
    """
    require_format(photo, path)
    target = image_format(path)
    colors = image.cpu().float()[: 1 if photo.decoded.picture.mode == "L" else 3]
    alpha = _alpha_channel(photo, colors)
    if alpha is not None and target in _FORMATS_WITH_ALPHA:
        colors = torch.cat([colors, alpha])
    elif alpha is not None:
        colors = torch.lerp(torch.ones_like(colors), colors, (alpha + 1.0) / 2.0)
    if photo.bits == 16 and target in _ENCODERS_OF_16_BITS:
        content = _ENCODERS_OF_16_BITS[target](_to_samples(colors), photo.metadata)
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
        return
    levels = (tensor_to_u8 if truncated else round_to_u8)(colors).movedim(0, -1)
    picture = np.ascontiguousarray(levels.squeeze(-1).numpy())
    save_image(Image.fromarray(picture), path, photo.metadata)


def _to_gray(images: Tensor) -> Tensor:
    """Convert (batch, 3, height, width) to three equal channels of luma (ITU-R BT.601, as Pillow's gray)."""
    red, green, blue = images.unbind(1)
    return (0.299 * red + 0.587 * green + 0.114 * blue).unsqueeze(1).expand(-1, 3, -1, -1)


def _alpha_channel(photo: Photo, colors: Tensor) -> Tensor | None:
    """Return the photo's opacity at the result's size, (1, height, width) from -1 (transparent) to 1 (opaque)."""
    alpha, samples = photo.decoded.alpha, photo.decoded.samples
    if alpha is None:
        return None
    size = (colors.shape[-1], colors.shape[-2])
    if samples is not None and size == alpha.size:
        return torch.as_tensor(samples[None, ..., -1].astype(np.float32)) / 32767.5 - 1.0
    resized = alpha if size == alpha.size else alpha.resize(size, Image.Resampling.BICUBIC)
    return torch.as_tensor(np.array(resized, np.float32)[None]) / 127.5 - 1.0


def _to_samples(image: Tensor) -> Samples:
    """Convert (channels, height, width) in [-1, 1] to the nearest 16-bit samples."""
    return np.rint((image.movedim(0, -1).numpy() + 1.0) * 32767.5).clip(0.0, 65535.0).astype(np.uint16)
