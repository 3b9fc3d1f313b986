"""Frames of glasses as tubes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, unit
from .asset import head
from .scipy_functions import reshaped
from .subdivision import Quads
from .traits import Glasses

_SIDES = 8
_CURVATURE = 0.35
"""Curvature of the frame around the face, per decimeter."""


def glasses_mesh(glasses: Glasses, vertices: NDArray[np.float64]) -> tuple[NDArray[np.float64], Quads]:
    """Fit the frame to a face.

    Args:
        glasses: form of the frame.
        vertices: (n, 3) coarse vertices of the neutral face.

    Returns:
        Vertices (m, 3) and quads (k, 4).
    """
    asset = head()
    skin, rest = asset.parts["skin"].matrix @ vertices, asset.skin
    right, left = asset.joint("l-eye", vertices), asset.joint("r-eye", vertices)
    around_eyes = (asset.masks["face"] > 0.5) & (np.abs(rest[:, 1] - 7.32) < 0.22) & (np.abs(rest[:, 0]) < 0.5)
    plane = max(float(skin[around_eyes][:, 2].max()) + 0.01, float(right[2]) + 0.28)
    half_width = min(glasses.half_width, 0.43 * float(right[0] - left[0]))
    outline = _outline(half_width, glasses.half_height, glasses.roundness)
    tubes: list[tuple[NDArray[np.float64], Quads]] = []
    for eye, side in ((right, 1.0), (left, -1.0)):
        center = eye + np.array([side * 0.01, -0.035, 0.0])
        x = center[0] + outline[:, 0]
        rim = np.stack([x, center[1] + outline[:, 1], plane - _CURVATURE * np.maximum(np.abs(x) - 0.1, 0.0) ** 2], 1)
        tubes.append(_tube(rim, glasses.rim, closed=True))
        tubes.append(_tube(_temple(center, side, half_width, plane, skin), 0.85 * glasses.rim, closed=False))
    along = np.linspace(0.0, 1.0, 9)
    height = right[1] + 0.01
    bridge = np.stack([left[0] - 0.01 + half_width + along * (right[0] - left[0] + 0.02 - 2 * half_width),
                       height + 0.03 * np.sin(np.pi * along), np.full(9, plane)], 1)  # fmt: skip
    tubes.append(_tube(bridge, glasses.rim, closed=False))
    starts = np.cumsum([0] + [len(points) for points, _ in tubes[:-1]])
    quads = np.concatenate([quads + start for (_, quads), start in zip(tubes, starts, strict=True)])
    return np.concatenate([points for points, _ in tubes]), quads


def _outline(half_width: float, half_height: float, roundness: float) -> NDArray[np.float64]:
    """Return a superellipse, (n, 2)."""
    angle = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [half_width * np.sign(cos) * np.abs(cos) ** roundness, half_height * np.sign(sin) * np.abs(sin) ** roundness], 1
    )


def _temple(center: Floats, side: float, half_width: float, plane: float, skin: Floats) -> NDArray[np.float64]:
    """Return the path from a rim's outer edge to the top of the ear, (n, 3)."""
    rest = head().skin
    ear = skin[(head().masks["ears"] > 0.5) & (rest[:, 0] * side > 0)]
    top = ear[ear[:, 1].argmax()]
    x = center[0] + side * half_width
    start = np.array([x, center[1] + 0.06, plane - _CURVATURE * (abs(x) - 0.1) ** 2])
    end = np.array([top[0] + side * 0.01, top[1] - 0.03, top[2] + 0.05])
    t = np.linspace(0.0, 1.0, 40)[:, None]
    path = start * (1 - t) + end * t
    path[:, 0] += side * 0.07 * np.sin(np.minimum(2.2 * t[:, 0], 1.0) * np.pi / 2) * (1 - t[:, 0])
    return path


def _tube(path: NDArray[np.float64], radius: float, *, closed: bool) -> tuple[NDArray[np.float64], Quads]:
    tangent = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    if not closed:
        tangent[0], tangent[-1] = path[1] - path[0], path[-1] - path[-2]
    tangent = unit(tangent)
    up = np.array([0.03, 0.01, 1.0]) if closed else np.array([0.0, 1.0, 0.01])
    axis_1 = unit(np.cross(tangent, up))
    axis_2 = np.cross(tangent, axis_1)
    angle = 2.0 * np.pi * np.arange(_SIDES) / _SIDES
    ring = np.cos(angle)[None, :, None] * axis_1[:, None] + np.sin(angle)[None, :, None] * axis_2[:, None]
    points = reshaped((path[:, None] + radius * ring), -1, 3)
    count = len(path)
    i = np.arange(count if closed else count - 1)[:, None]
    j = np.arange(_SIDES)[None]
    next_ring, next_side = (i + 1) % count, (j + 1) % _SIDES
    quads = np.stack(
        [i * _SIDES + j, i * _SIDES + next_side, next_ring * _SIDES + next_side, next_ring * _SIDES + j], -1
    )
    return points, reshaped(quads, -1, 4)
