"""Resampling a picture by an affine transform: cubic, antialiased, mirrored at the border, in float32.

torch's `grid_sample` is not used: its cubic kernel (a = -0.75) is an order less accurate than Catmull-Rom's (a = -0.5),
it does not antialias, and its float32 coordinates lose a thousandth of a pixel in large pictures.
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


def warp(image: Tensor, out_from_in: Matrix, size: tuple[int, int]) -> Tensor:
    """Resample a picture.

    What shrinks is smoothed first, so that detail finer than the result's pixels does not alias.

    Args:
        image: (c, height, width), floating point. Beyond its border it goes on mirrored.
        out_from_in: (2, 3), maps pixels of `image` to pixels of the result (convention in types.py).
        size: (height, width) of the result.

    Returns:
        (c, *size) float32; cubic interpolation may overshoot the range of the picture a little.
    """
    scale = math.sqrt(abs(float(np.linalg.det(out_from_in[:, :2]))))
    sigma = antialias_sigma(1.0 / scale)
    image, origin = _region(image, invert(out_from_in), size, margin=3 + math.ceil(3.0 * sigma))
    source = gaussian_blur(image.float(), sigma)
    in_from_out = compose(shift(-origin[0], -origin[1]), invert(out_from_in))
    return sample(source, in_from_out, size)


def antialias_sigma(shrink: float) -> float:
    """Standard deviation, in source pixels, of the Gaussian that halves the amplitude at the shrunk picture's Nyquist
    frequency, as PIL's bicubic filter does; 0 where nothing shrinks, and continuous there.
    """
    return math.sqrt(2.0 * math.log(2.0)) / math.pi * math.sqrt(max(0.0, shrink**2 - 1.0))


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """(c, height, width) smoothed, mirrored at the border, of any size."""
    if sigma < 0.05:  # less than a thousandth of the neighbor
        return image
    radius = math.ceil(3.0 * sigma)
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius + 1)]
    total = weights[0] + 2.0 * sum(weights[1:])
    # Sums of shifted views: torch's CPU convolutions of one channel are slow.
    for dim in (-1, -2):
        length = image.shape[dim]
        padded = _mirror_pad(image, radius, dim)
        image = padded.narrow(dim, radius, length) * (weights[0] / total)
        for i, weight in enumerate(weights[1:], start=1):
            image.add_(padded.narrow(dim, radius - i, length), alpha=weight / total)
            image.add_(padded.narrow(dim, radius + i, length), alpha=weight / total)
    return image


def sample(image: Tensor, in_from_out: Matrix, size: tuple[int, int], *, linear: bool = False) -> Tensor:
    """Interpolate (c, height, width) at the transformed pixels of a (height, width) grid, without antialiasing.

    Catmull-Rom (Keys 1981, a = -0.5), or linear where overshoot does harm, as in masks.
    """
    channels, height, width = image.shape
    taps, first = (_linear, 0) if linear else (_catmull_rom, -1)
    # Positions are split in float64 on the CPU: some accelerators have none, and the fraction has to be exact.
    x, y = (torch.as_tensor(v) for v in grid(in_from_out, size))
    x0, y0 = x.floor(), y.floor()
    weights_x, weights_y = taps((x - x0).float().to(image.device)), taps((y - y0).float().to(image.device))
    columns = [_mirror(x0.long() + first + i, width).to(image.device) for i in range(len(weights_x))]
    rows = [(_mirror(y0.long() + first + i, height) * width).to(image.device) for i in range(len(weights_y))]
    flat = image.float().reshape(channels, -1)
    out = torch.zeros(channels, x.numel(), device=image.device)
    for row, weight_y in zip(rows, weights_y, strict=True):
        line = torch.zeros_like(out)
        for column, weight_x in zip(columns, weights_x, strict=True):
            line.addcmul_(flat.index_select(1, row + column), weight_x)
        out.addcmul_(line, weight_y)
    return out.reshape(channels, *size)


def grid(in_from_out: Matrix, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates (x, y), flat, of the transformed pixels of a (height, width) grid in row order."""
    ys, xs = np.indices(size, dtype=np.float64)
    xs, ys = np.ravel(xs), np.ravel(ys)
    (a, b, c), (d, e, f) = in_from_out
    return a * xs + b * ys + c, d * xs + e * ys + f


def shift(x: float, y: float) -> Matrix:
    """(2, 3): moves points by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def _catmull_rom(t: Tensor) -> list[Tensor]:
    """Weights of the pixels at -1, 0, 1, 2 for a point at t in 0..1."""
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
    """Indices beyond the border, mirrored about the border pixels' centers, as often as needed."""
    if length == 1:
        return torch.zeros_like(index)
    folded = index.remainder(2 * (length - 1))
    return torch.minimum(folded, 2 * (length - 1) - folded)


def _mirror_pad(image: Tensor, pad: int, dim: int) -> Tensor:
    index = torch.arange(-pad, image.shape[dim] + pad, device=image.device)
    return image.index_select(dim, _mirror(index, image.shape[dim]))


def _region(image: Tensor, in_from_out: Matrix, size: tuple[int, int], margin: int) -> tuple[Tensor, tuple[int, int]]:
    """The part of a picture that a warp reads, and its origin (x, y); the whole where mirroring is needed."""
    _, height, width = image.shape
    ends = np.array([[0, 0], [size[1] - 1, 0], [0, size[0] - 1], [size[1] - 1, size[0] - 1]], dtype=np.float64)
    points = transform_points(in_from_out, ends)
    left, top = (int(v) for v in np.floor(points.min(axis=0)) - margin)
    right, bottom = (int(v) for v in np.ceil(points.max(axis=0)) + margin + 1)
    # A border that is needed must stay the border, or it would be mirrored at another place.
    left, right = (0, width) if left < 0 or right > width else (left, right)
    top, bottom = (0, height) if top < 0 or bottom > height else (top, bottom)
    return image[:, top:bottom, left:right], (left, top)
