"""Strands of hair as polylines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp
from .asset import head


@dataclass(frozen=True, eq=False)
class Strands:
    """Strands of one kind.

    Attributes:
        nodes: (n, m, 3) points from root to tip.
        colors: (n, 3) linear.
        width: decimeters.
        kind: "hair", "brow", "beard" or "lash".
        thinness: (n,) factor of the width.
    """

    nodes: NDArray[np.float32]
    colors: NDArray[np.float32]
    width: float
    kind: str
    thinness: NDArray[np.float32]

    def moved(self, motion: Callable[[Floats], NDArray[np.float32]]) -> Strands:
        """Return the strands after a motion of all points."""
        return replace(self, nodes=motion(self.nodes))


@dataclass(frozen=True, eq=False)
class Roots:
    """Points of the skin: (n,) quads, and (n, 4) weights of their corners."""

    quads: NDArray[np.int64]
    weights: Floats

    def at(self, values: Floats) -> Floats:
        """Interpolate values at the skin's fine vertices, (vertices, c) or (vertices,), to the roots."""
        corners = values[head().parts["skin"].quads[self.quads]]
        return np.einsum("nk,nk...->n...", self.weights, corners)


def scatter(cover: Floats, count: int, rng: np.random.Generator) -> Roots:
    """Draw random roots on the skin in proportion to `cover`, (vertices,) at the fine vertices."""
    part, points = head().parts["skin"], head().skin
    corners = points[part.quads]
    area = np.linalg.norm(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1)
    weight = cover[part.quads].mean(1) * area
    quads = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(count))
    u, v = rng.random((2, count))
    return Roots(np.minimum(quads, len(weight) - 1), np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], 1))


def shades(
    color: NDArray[np.float64], gray: float, count: int, rng: np.random.Generator, spread: float = 0.16
) -> NDArray[np.float32]:
    """Draw the linear colors of single strands, (count, 3).

    Args:
        color: (3,) linear color of hair that is not gray.
        gray: share of gray hairs in [0, 1].
        count: number of strands.
        rng: random generator.
        spread: relative deviation of the brightness.
    """
    colored = color * rng.normal(1.0, spread, (count, 1)) * (1.0 + rng.normal(0.0, 0.03, (count, 3)))
    white = np.array([0.42, 0.41, 0.40]) * rng.normal(1.0, 0.12, (count, 1))
    # A strand stands for some ten hairs, of which more or fewer are gray.
    share = clamp(gray + rng.normal(0.0, 0.22, (count, 1)) * 4.0 * gray * (1.0 - gray), 0.0, 1.0)
    return clamp(colored + share * (white - colored), 0.004, 0.85).astype(np.float32)
