"""Resampling of a picture by an affine transform: cubic, antialiased, mirrored at the border, in float32.

torch's `grid_sample` is not used for three reasons. Its cubic kernel (a = -0.75) is less accurate than Catmull-Rom
(a = -0.5) by one order. It does not antialias. Its float32 coordinates have errors of a thousandth of a pixel in large
pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .types import Matrix, compose, invert, transform_points

Taps = Callable[[Tensor], list[Tensor]]

STRIP = 65_536
"""Pixels of a result that are interpolated together on a CPU."""


def warp(image: Tensor, out_from_in: Matrix, size: tuple[int, int]) -> Tensor:
    """Resample a picture.

    A picture that shrinks is smoothed first, so that detail finer than the result's pixels does not alias.

    Args:
        image: (c, height, width), floating point. Its mirror image continues it beyond its border.
        out_from_in: (2, 3), maps pixels of `image` to pixels of the result (see the conventions in types.py).
        size: (height, width) of the result.

    Returns:
        (c, *size) float32. Cubic interpolation may slightly exceed the range of the picture.
    """
    scale = math.sqrt(abs(float(np.linalg.det(out_from_in[:, :2]))))
    sigma = antialias_sigma(1.0 / scale)
    image, origin = _region(image, invert(out_from_in), size, margin=3 + math.ceil(3.0 * sigma))
    source = gaussian_blur(image.float(), sigma)
    in_from_out = compose(shift(-origin[0], -origin[1]), invert(out_from_in))
    return sample(source, in_from_out, size)


def antialias_sigma(shrink: float) -> float:
    """Return the standard deviation, in source pixels, of the Gaussian for antialiasing.

    Like PIL's bicubic filter, the Gaussian halves the amplitude at the Nyquist frequency of the shrunk picture. The
    result is 0 up to a factor of 1 and rises continuously from there.

    Args:
        shrink: Source pixels per pixel of the result.
    """
    return math.sqrt(2.0 * math.log(2.0)) / math.pi * math.sqrt(max(0.0, shrink**2 - 1.0))


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Blur (c, height, width) with a Gaussian, mirrored at the border.

    Args:
        image: Picture of any size, even smaller than the kernel.
        sigma: Standard deviation in pixels. Below 0.05, the picture is returned unchanged.
    """
    if sigma < 0.05:  # the weight of a neighbor would be below a thousandth
        return image
    radius = math.ceil(3.0 * sigma)
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius + 1)]
    total = weights[0] + 2.0 * sum(weights[1:])
    # Shifted views are summed, because torch's CPU convolutions of one channel are slow.
    for dim in (-1, -2):
        length = image.shape[dim]
        padded = _mirror_pad(image, radius, dim)
        image = padded.narrow(dim, radius, length) * (weights[0] / total)
        for i, weight in enumerate(weights[1:], start=1):
            image.add_(padded.narrow(dim, radius - i, length), alpha=weight / total)
            image.add_(padded.narrow(dim, radius + i, length), alpha=weight / total)
    return image


def sample(image: Tensor, in_from_out: Matrix, size: tuple[int, int], *, linear: bool = False) -> Tensor:
    """Interpolate a picture at the transformed pixels of a grid, without antialiasing.

    Args:
        image: (c, height, width).
        in_from_out: (2, 3), maps pixels of the grid to pixels of `image`.
        size: (height, width) of the grid.
        linear: Interpolate linearly, for masks and other pictures that must not overshoot. The default is Catmull-Rom
            (Keys 1981, a = -0.5).

    Returns:
        (c, *size) float32.
    """
    image = image.float().contiguous()
    # Positions are split on the CPU. Their fractions must be exact, and some accelerators have no float64.
    x, y = (torch.as_tensor(v) for v in grid(in_from_out, size))
    # The sums of a strip stay in a CPU's cache. Strips change no bit: test_strips_of_a_warp_change_no_bit.
    strip = STRIP if image.device.type == "cpu" else max(1, len(x))
    starts = range(0, max(1, len(x)), strip)
    parts = [_interpolated(image, x[i : i + strip], y[i : i + strip], linear=linear) for i in starts]
    return torch.cat(parts, dim=1).reshape(len(image), *size)


def _interpolated(image: Tensor, x: Tensor, y: Tensor, *, linear: bool) -> Tensor:
    """Interpolate (c, height, width) float32 at points (n,), float64 on the CPU: (c, n) float32."""
    channels, height, width = image.shape
    taps, first = (_linear, 0) if linear else (_catmull_rom, -1)
    x0, y0 = x.floor(), y.floor()
    weights_x, weights_y = taps((x - x0).float().to(image.device)), taps((y - y0).float().to(image.device))
    columns = [_mirror(x0.long() + first + i, width).to(image.device) for i in range(len(weights_x))]
    rows = [(_mirror(y0.long() + first + i, height) * width).to(image.device) for i in range(len(weights_y))]
    flat = image.reshape(channels, -1)
    out = torch.zeros(channels, x.numel(), device=image.device)
    for row, weight_y in zip(rows, weights_y, strict=True):
        line = torch.zeros_like(out)
        for column, weight_x in zip(columns, weights_x, strict=True):
            line.addcmul_(flat.index_select(1, row + column), weight_x)
        out.addcmul_(line, weight_y)
    return out


def grid(in_from_out: Matrix, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the coordinates of the transformed pixels of a (height, width) grid: x and y, each flat in row order."""
    ys, xs = np.indices(size, dtype=np.float64)
    xs, ys = np.ravel(xs), np.ravel(ys)
    (a, b, c), (d, e, f) = in_from_out
    return a * xs + b * ys + c, d * xs + e * ys + f


def shift(x: float, y: float) -> Matrix:
    """Return the (2, 3) transform that moves points by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def _catmull_rom(t: Tensor) -> list[Tensor]:
    """Return the weights of the pixels at -1, 0, 1 and 2 for a point at t in 0..1."""
    t2, t3 = t * t, t * t * t
    return [
        -0.5 * t3 + t2 - 0.5 * t,
        1.5 * t3 - 2.5 * t2 + 1.0,
        -1.5 * t3 + 2.0 * t2 + 0.5 * t,
        0.5 * t3 - 0.5 * t2,
    ]


def _linear(t: Tensor) -> list[Tensor]:
    return [1.0 - t, t]


def _mirror(index: Tensor, length: int) -> Tensor:
    """Mirror indices beyond the border about the centers of the border pixels, as often as needed."""
    if length == 1:
        return torch.zeros_like(index)
    folded = index.remainder(2 * (length - 1))
    return torch.minimum(folded, 2 * (length - 1) - folded)


def _mirror_pad(image: Tensor, pad: int, dim: int) -> Tensor:
    index = torch.arange(-pad, image.shape[dim] + pad, device=image.device)
    return image.index_select(dim, _mirror(index, image.shape[dim]))


def _region(image: Tensor, in_from_out: Matrix, size: tuple[int, int], margin: int) -> tuple[Tensor, tuple[int, int]]:
    """Return the part of a picture that a warp reads, and its origin (x, y).

    Along an axis on which the warp reads beyond the border, the part covers the whole picture.
    """
    _, height, width = image.shape
    ends = np.array([[0, 0], [size[1] - 1, 0], [0, size[0] - 1], [size[1] - 1, size[0] - 1]], dtype=np.float64)
    points = transform_points(in_from_out, ends)
    left, top = (int(v) for v in np.floor(points.min(axis=0)) - margin)
    right, bottom = (int(v) for v in np.ceil(points.max(axis=0)) + margin + 1)
    # If the warp reads beyond a border, the part must end at the picture's borders, where the mirroring takes place.
    left, right = (0, width) if left < 0 or right > width else (left, right)
    top, bottom = (0, height) if top < 0 or bottom > height else (top, bottom)
    return image[:, top:bottom, left:right], (left, top)
