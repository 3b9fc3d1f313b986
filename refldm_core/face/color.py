"""Color matching of a restored crop to the picture that it is pasted into."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ..errors import SettingsError
from .warping import gaussian_blur

ColorMatch = Literal["wavelet", "lab", "none"]

_WAVELET_SIGMA = 13.06 / 512
"""Standard deviation, as a fraction of the crop's side. Five levels of the a-trous wavelet with the kernel
[1, 2, 1] / 4 smooth equally at 512 pixels."""

_RGB_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degree observer
_EPSILON, _KAPPA = 0.008856, 7.787  # constants of CIE 1976 L*a*b*


def match_colors(restored: Tensor, original: Tensor, method: ColorMatch, mask: Tensor | None = None) -> Tensor:
    """Give a restored crop the colors of the original crop.

    Args:
        restored, original: (3, size, size) in [-1, 1].
        method: "wavelet" keeps the detail of the restored crop and takes the coarse local colors of the original. "lab"
            takes the mean and standard deviation of each CIE Lab channel from the original. "none" changes nothing.
        mask: (size, size) in [0, 1]: weight of each pixel in the statistics of "lab". None weights all pixels equally.

    Returns:
        (3, size, size) float32, not clamped.

    Raises:
        SettingsError: The method does not exist.
    """
    if method == "none":
        return restored
    if method == "wavelet":
        # The sum of all bands of a wavelet decomposition except the coarsest is the picture minus its smoothed copy.
        return restored + gaussian_blur(original - restored, _WAVELET_SIGMA * restored.shape[-1])
    if method == "lab":
        weight = torch.ones_like(restored[0]) if mask is None else mask
        if float(weight.sum()) == 0.0:
            return restored
        source, target = rgb_to_lab(restored), rgb_to_lab(original)
        mean, deviation = _moments(source, weight)
        target_mean, target_deviation = _moments(target, weight)
        return lab_to_rgb((source - mean) * (target_deviation / deviation) + target_mean)
    raise SettingsError(
        f'There is no color match "{method}".',
        expected='"wavelet", "lab" or "none"',
        remedy="choose one of these",
    )


def with_coarse_colors(restored: Tensor, original: Tensor) -> Tensor:
    """Return a restored crop with the coarse colors of another crop, both (3, size, size) in [-1, 1], on its device."""
    return match_colors(restored, original.to(restored.device), "wavelet").clamp(-1.0, 1.0)


def rgb_to_lab(image: Tensor) -> Tensor:
    """Convert encoded sRGB (3, height, width) in [-1, 1] to CIE L*a*b* (D65), with L in 0..100."""
    rgb = ((image + 1.0) / 2.0).clamp(0.0, 1.0)
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = torch.einsum("ij,jhw->ihw", _matrix(image), linear) / _white(image)
    f = torch.where(xyz > _EPSILON, xyz.clamp(min=_EPSILON) ** (1.0 / 3.0), _KAPPA * xyz + 16.0 / 116.0)
    return torch.stack([116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])])


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert CIE L*a*b* (D65) to sRGB (3, height, width) in [-1, 1]. Colors outside sRGB are clamped."""
    y = (lab[0] + 16.0) / 116.0
    f = torch.stack([y + lab[1] / 500.0, y, y - lab[2] / 200.0])
    xyz = torch.where(f**3 > _EPSILON, f**3, (f - 16.0 / 116.0) / _KAPPA) * _white(lab)
    linear = torch.einsum("ij,jhw->ihw", torch.inverse(_matrix(lab)), xyz).clamp(0.0, 1.0)
    rgb = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=1e-9) ** (1.0 / 2.4) - 0.055, 12.92 * linear)
    return rgb * 2.0 - 1.0


def _moments(lab: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean and standard deviation of each channel: (3, 1, 1) each."""
    total = weight.sum()
    mean = ((lab * weight).sum(dim=(1, 2)) / total).view(3, 1, 1)
    variance = (((lab - mean) ** 2 * weight).sum(dim=(1, 2)) / total).view(3, 1, 1)
    return mean, variance.sqrt().clamp(min=0.5)  # the limit keeps a flat channel from being stretched to noise


def _matrix(like: Tensor) -> Tensor:
    return torch.tensor(_RGB_TO_XYZ, device=like.device, dtype=like.dtype)


def _white(like: Tensor) -> Tensor:
    return torch.tensor(_WHITE, device=like.device, dtype=like.dtype).view(3, 1, 1)
