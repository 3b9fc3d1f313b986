"""The classical degradation of blind face restoration: blur, shrink, add noise, compress (JPEG), and enlarge again.

I_LQ = enlarge(JPEG_q(shrink_r(I_HQ * k_sigma) + n_delta)), with parameters drawn uniformly, as in GFPGAN (Wang et al.,
CVPR 2021, equation 1) and its successors. The ranges are those of the ReF-LDM paper.

As in the published code, the blur kernel ends 20 pixels from its center, so that a sigma of 16 blurs like one of 11.
Both resizes interpolate between four pixels, without averaging when shrinking (OpenCV's INTER_LINEAR). Half of the
kernels of the published code are elongated. Here all kernels are round, so that one number says how blurred a picture
is.

Convention: parameters are stated for crops of `REFERENCE_SIZE` pixels. For a picture with another shorter side, the
blur and the downscale factor are scaled by side / 512. A face then loses the same share of its detail, and the shrunk
picture, which gets the noise and the compression, is as small as that of a 512 pixel crop. The scaled factor is at
least 1: a smaller crop is not enlarged first.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ..errors import SettingsError
from .degradation_kinds import Kind

REFERENCE_SIZE = 512
"""Pixels along a side of the aligned FFHQ crops that the published ranges apply to."""

_KERNEL_SIZE = 41
"""Pixels along a side of the published blur kernels, for a 512 crop."""


@dataclass(frozen=True)
class Degradation:
    """The parameters of one picture's degradation.

    Attributes:
        blur_sigma: standard deviation of the isotropic Gaussian, in pixels of a 512 crop; 0 leaves the picture sharp.
        downscale: factor by which a 512 crop is shrunk, at least 1.
        noise_sigma: standard deviation of the noise, where white is 255. The noise is independent for every pixel and
            channel.
        jpeg_quality: 1 to 100, or None for no compression. A quality of 100 still loses a little, mainly of the colors.
        noise_seed: at least 0. The same seed and shrunk size give the same noise.

    Raises:
        SettingsError: a number is outside its range.
    """

    blur_sigma: float
    downscale: float
    noise_sigma: float
    jpeg_quality: int | None
    noise_seed: int = 0

    def __post_init__(self) -> None:
        finite = all(math.isfinite(value) for value in (self.blur_sigma, self.downscale, self.noise_sigma))
        quality = 100 if self.jpeg_quality is None else self.jpeg_quality
        sound = self.blur_sigma >= 0 and self.downscale >= 1 and self.noise_sigma >= 0 and self.noise_seed >= 0
        if not (finite and sound and 1 <= quality <= 100):
            raise SettingsError(
                f"{self} is not a valid degradation.",
                expected="blur, noise and seed of 0 or more, a downscale factor of 1 or more, JPEG quality 1 to 100",
                remedy="change the number that is out of its range",
            )


@dataclass(frozen=True)
class DegradationRanges:
    """Smallest and largest value of each parameter of `Degradation`, both included.

    Raises:
        SettingsError: a range is reversed, or an end of it is no valid value of the parameter.
    """

    blur_sigma: tuple[float, float]
    downscale: tuple[float, float]
    noise_sigma: tuple[float, float]
    jpeg_quality: tuple[int, int]

    def __post_init__(self) -> None:
        for low, high in (self.blur_sigma, self.downscale, self.noise_sigma, self.jpeg_quality):
            if low > high:
                raise SettingsError(
                    f"The range from {low:g} to {high:g} is reversed.",
                    expected="the smaller value first",
                    remedy="exchange the two values",
                )
        for end in (0, 1):  # raises SettingsError for a value out of range
            Degradation(self.blur_sigma[end], self.downscale[end], self.noise_sigma[end], self.jpeg_quality[end])


RANGES: dict[Kind, DegradationRanges] = {
    "moderate": DegradationRanges((0.0, 8.0), (1.0, 8.0), (0.0, 15.0), (60, 100)),
    "severe": DegradationRanges((8.0, 16.0), (8.0, 32.0), (0.0, 20.0), (30, 100)),
    "training": DegradationRanges((0.0, 16.0), (1.0, 32.0), (0.0, 20.0), (30, 100)),
}
"""The published ranges: those of the two test sets of FFHQ-Ref, and those that the model was trained with."""


def draw(ranges: DegradationRanges, seed: int) -> Degradation:
    """Draw the parameters of a degradation uniformly, including the seed of its noise.

    Args:
        ranges: range of each parameter.
        seed: at least 0. The same seed draws the same parameters. Neighboring seeds draw unrelated ones.

    Raises:
        SettingsError: the seed is negative.
    """
    if seed < 0:
        raise SettingsError(
            f"The seed {seed} is negative.", expected="0 or a larger whole number", remedy="choose another seed"
        )
    random = np.random.default_rng(seed)
    # The order must not change: another order would give other pictures for the same seed.
    return Degradation(
        blur_sigma=random.uniform(*ranges.blur_sigma),
        downscale=random.uniform(*ranges.downscale),
        noise_sigma=random.uniform(*ranges.noise_sigma),
        jpeg_quality=int(random.integers(*ranges.jpeg_quality, endpoint=True)),
        noise_seed=int(random.integers(2**32)),
    )


def degrade(picture: NDArray[np.uint8], degradation: Degradation, *, crop: float | None = None) -> NDArray[np.uint8]:
    """Return a low-quality version of a picture.

    Args:
        picture: (height, width, 3) uint8 RGB of any size, square or not.
        degradation: parameters, stated for a crop of 512 pixels.
        crop: side of the aligned crops of the picture's faces, in pixels of the picture. It scales the parameters. None
            takes the shorter side of the picture, since no upright face is larger.

    Returns:
        (height, width, 3) uint8. The values may differ between versions of the JPEG library.

    Raises:
        SettingsError: the picture has another shape or type, or is empty.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise SettingsError(
            f"An array of shape {picture.shape} and type {picture.dtype} cannot be degraded.",
            expected="a picture (height, width, 3) of type uint8",
            remedy="convert it to 8-bit RGB",
        )
    height, width, _ = picture.shape
    scale = (min(height, width) if crop is None else crop) / REFERENCE_SIZE
    factor = max(1.0, degradation.downscale * scale)
    values = _to_batch(picture)
    values = _blur(values, degradation.blur_sigma * scale, _KERNEL_SIZE / 2 * scale)
    values = _resize(values, (_shrunk_side(height, factor), _shrunk_side(width, factor)))
    small = values[0].movedim(0, -1).numpy()
    if degradation.noise_sigma > 0:
        random = np.random.default_rng(degradation.noise_seed)
        small = small + degradation.noise_sigma * random.standard_normal(small.shape, dtype=np.float32)
    small = np.rint(small).clip(0, 255).astype(np.uint8)
    if degradation.jpeg_quality is not None:
        small = _compress_jpeg(small, degradation.jpeg_quality)
    return _resize(_to_batch(small), (height, width))[0].movedim(0, -1).round().to(torch.uint8).numpy()


def _to_batch(picture: NDArray[np.uint8]) -> Tensor:
    """Convert (height, width, 3) uint8 to (1, 3, height, width) float32 in 0..255."""
    return torch.tensor(picture).movedim(-1, 0).unsqueeze(0).float()


def _blur(images: Tensor, sigma: float, reach: float) -> Tensor:
    """Return the Gaussian blur of images, which are mirrored at the border as in OpenCV.

    Args:
        images: (1, 3, height, width) of any range.
        sigma: in pixels.
        reach: distance from the center of the kernel to its end, in pixels; less than height and width. A pixel that
            the kernel covers in part counts in part.
    """
    if sigma < 0.05:  # a neighbor would weigh less than a thousandth
        return images
    radius = math.ceil(reach - 0.5)
    offsets = range(-radius, radius + 1)
    weights = [math.exp(-0.5 * (i / sigma) ** 2) * min(1.0, reach + 0.5 - abs(i)) for i in offsets]
    images = F.pad(images, (radius,) * 4, mode="reflect")
    # Sums of shifted views are faster than torch's CPU convolutions of few channels.
    for dim in (-1, -2):
        length = images.shape[dim] - 2 * radius
        blurred = torch.zeros_like(images.narrow(dim, 0, length))
        for start, weight in enumerate(weights):
            blurred.add_(images.narrow(dim, start, length), alpha=weight / sum(weights))
        images = blurred
    return images


def _resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


def _shrunk_side(side: int, factor: float) -> int:
    """Return the side of the shrunk picture, rounded down as published.

    The 1e-6 makes up for rounding errors of the scaled factor, so that every size shrinks to the side of a 512 crop.
    """
    return max(1, int(side / factor + 1e-6))


def _compress_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    file = io.BytesIO()
    # Subsampling 2 halves the resolution of the colors, as OpenCV does.
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=2)
    return np.array(Image.open(file).convert("RGB"))
