"""Brows, beard and lashes, anchored on the posed skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp, linear, smoothstep, unit
from .asset import head
from .scipy_functions import transposed
from .strands import Strands, scatter, shades
from .traits import Beard, Brows, Person

_STREAM = 0x5FA
_BROW_HEIGHT, _BROW_START, _BROW_LENGTH = 7.487, 0.11, 0.43
_BROW_HAIRS = 900
_BEARD_HAIRS = {"stubble": 4500, "short": 6500, "full": 6500, "goatee": 2600, "moustache": 1500}
_BEARD_WIDTH = {"stubble": 0.0045, "short": 0.0058, "full": 0.007, "goatee": 0.007, "moustache": 0.007}
_BEARD_LENGTH = {"stubble": 0.018, "short": 0.055, "full": 0.13, "goatee": 0.08, "moustache": 0.07}
_UPPER_LASHES = 7.275
"""Height on the average head above which lashes are the upper ones."""


def _brow_frame(brows: Brows) -> tuple[Floats, Floats, Floats]:
    """Place the fine vertices of the skin relative to the brow of their side.

    Returns:
        The share of the way along the brow, the height above its middle line, and the distance from that line in half
        thicknesses, each (n,).
    """
    x, y, z = transposed(head().skin)
    along = (np.abs(x) - _BROW_START) / _BROW_LENGTH
    inside = clamp(along, 0.0, 1.0)
    middle = _BROW_HEIGHT + brows.height + brows.arch * np.sin(2.6 * inside) - 0.085 * clamp(along - 0.6, 0.0, 1.0)
    half_thickness = brows.thickness * (1.0 - 0.72 * inside**2) * (0.55 + 0.45 * smoothstep(0.0, 0.25, along))
    distance = np.abs(y - middle) / half_thickness
    distance[(along < -0.02) | (along > 1.0) | (z < 0.9)] = 9.0
    return along, y - middle, distance


def brow_cover(brows: Brows) -> Floats:
    """Return the share of brow, (n,) in [0, 1], at each fine vertex of the skin."""
    along, _, distance = _brow_frame(brows)
    return smoothstep(1.25, 0.35, distance) * smoothstep(-0.02, 0.15, along) * smoothstep(1.0, 0.8, along)


def brow_strands(person: Person, points: Floats, normals: Floats) -> list[Strands]:
    """Grow the hairs of the brows, on (n, 3) points and normals of the skin before the head turns."""
    brows = person.brows
    rng = np.random.default_rng([_STREAM, person.seed, 1])
    along, above, _ = _brow_frame(brows)
    cover = brow_cover(brows)
    roots = scatter(cover, int(_BROW_HAIRS * brows.density), rng)
    start, normal = roots.at(points), roots.at(normals)
    u, height = roots.at(along)[:, None], roots.at(above)[:, None]
    side = np.sign(roots.at(head().skin)[:, :1])
    direction = unit(np.concatenate([side * (0.40 + u), 0.85 - 1.25 * u - 6.0 * height, -0.2 - 0.35 * u], 1))
    direction = unit(direction + rng.normal(0.0, 0.12, direction.shape))
    t = np.linspace(0.0, 1.0, 4)[None, :, None]
    length = (rng.uniform(0.05, 0.10, len(start)) * (0.7 + 0.5 * smoothstep(0.0, 0.3, u[:, 0])))[:, None, None]
    nodes = start[:, None] + length * (direction[:, None] * t + normal[:, None] * (0.22 * t * (1.0 - 0.7 * t)))
    color = 0.75 * linear(brows.color) + 0.2 * linear(person.skin.color)
    return [_strands(nodes, shades(color, 0.0, len(nodes), rng), 0.005, "brow")]


def beard_cover(beard: Beard | None) -> Floats:
    """Return the share of beard, (n,) in [0, 1], at each fine vertex of the skin.

    With None, this is where a shaved beard would grow.
    """
    x, y, z = transposed(head().skin)
    x = np.abs(x)
    masks = head().masks
    lips = smoothstep(0.02, 0.22, masks["lips"] + masks["inside-mouth"])
    cheeks = smoothstep(6.82, 6.60, y - 0.85 * clamp(x - 0.30, 0.0, 1.0))
    full = cheeks * smoothstep(0.22, 0.42, z) * smoothstep(6.08, 6.26, y + 0.22 * np.maximum(1.3 - z, 0.0))
    side_of_lip = (
        smoothstep(0.09, 0.13, x) * smoothstep(0.25, 0.20, x) * smoothstep(6.42, 6.50, y) * smoothstep(6.62, 6.56, y)
    )
    below_lip = 1.0 - 0.6 * side_of_lip
    full = full * below_lip
    moustache = smoothstep(0.31, 0.24, x) * smoothstep(6.60, 6.68, y) * smoothstep(6.87, 6.80, y) * (z > 1.25)
    moustache = moustache * (1.0 - 0.5 * smoothstep(0.035, 0.01, x) * smoothstep(6.78, 6.84, y))
    chin = smoothstep(0.26, 0.17, x) * smoothstep(6.52, 6.42, y) * smoothstep(6.0, 6.12, y) * (z > 1.1)
    corner = smoothstep(0.20, 0.24, x) * smoothstep(0.33, 0.28, x) * smoothstep(6.3, 6.4, y) * smoothstep(6.72, 6.66, y)
    style = "short" if beard is None else beard.style
    if style == "goatee":
        cover = np.maximum(np.maximum(chin, moustache), corner * (z > 1.1))
    elif style == "moustache":
        cover = moustache
    else:
        cover = np.maximum(full, moustache)
    return cover * (1.0 - lips) * (masks["ears"] < 0.2)


def beard_strands(person: Person, points: Floats, normals: Floats) -> list[Strands]:
    """Grow the hairs of the beard, on (n, 3) points and normals of the skin before the head turns."""
    beard = person.beard
    if beard is None:
        return []
    rng = np.random.default_rng([_STREAM, person.seed, 2])
    roots = scatter(beard_cover(beard), _BEARD_HAIRS[beard.style], rng)
    start, normal = roots.at(points), unit(roots.at(normals))
    rest = roots.at(head().skin)
    moustache = smoothstep(6.62, 6.68, rest[:, 1:2])
    down = np.concatenate([0.9 * np.sign(rest[:, :1]) * moustache + 0.25 * rest[:, :1], -0.9 + 0.0 * moustache], 1)
    direction = np.concatenate([down, np.full((len(start), 1), 0.1)], 1) + rng.normal(0.0, 0.22, start.shape)
    direction -= 0.8 * normal * (direction * normal).sum(1, keepdims=True)
    t = np.linspace(0.0, 1.0, 5)[None, :, None]
    length = (_BEARD_LENGTH[beard.style] * rng.uniform(0.6, 1.25, len(start)) * (1.0 - 0.35 * moustache[:, 0]))[
        :, None, None
    ]
    nodes = start[:, None] + length * (normal[:, None] * (0.75 * t - 0.25 * t**2) + direction[:, None] * 0.75 * t**1.4)
    color = linear(beard.color) * 0.9 + 0.02 * linear(person.skin.color)
    return [_strands(nodes, shades(color, beard.gray, len(nodes), rng, 0.22), _BEARD_WIDTH[beard.style], "beard")]


def lash_strands(person: Person, vertices: NDArray[np.float64]) -> list[Strands]:
    """Grow lashes along the edges of the lids. They are longer and denser on women and with makeup."""
    asset = head()
    strength = (person.makeup.strength if person.makeup else 0.0) + (0.5 if person.gender == "female" else 0.0)
    rng = np.random.default_rng([_STREAM, person.seed, 3])
    upper = asset.lashes[asset.base[asset.lashes].mean(1)[:, 1] > _UPPER_LASHES]
    lower = asset.lashes[asset.base[asset.lashes].mean(1)[:, 1] <= _UPPER_LASHES]
    layers = [_lashes(vertices, upper, rng, 0.75 + 0.2 * strength) for _ in range(2 + round(2 * strength))]
    layers.append(_lashes(vertices, lower[::2], rng, 0.5))
    lashes = np.concatenate(layers)
    return [_strands(lashes, shades(linear((0.09, 0.075, 0.07)), 0.0, len(lashes), rng), 0.0055, "lash")]


def _lashes(vertices: NDArray[np.float64], quads: NDArray[np.int64], rng: np.random.Generator, length: float) -> Floats:
    """Grow one lash in each quad of the lashes' mesh, from the edge near the eyeball outward: (n, 4, 3) nodes."""
    asset = head()
    quad_corners = vertices[quads]
    strands = np.zeros((len(quads), 4, 3))
    for name in ("l-eye", "r-eye"):
        of_eye = (quad_corners.mean(1)[:, 0] > 0) == (name == "l-eye")
        corners = quad_corners[of_eye]
        distance = np.linalg.norm(corners - asset.joint(name, vertices), axis=2)
        order = np.argsort(distance, axis=1)[:, :, None]
        near, far = np.take_along_axis(corners, order[:, :2], 1), np.take_along_axis(corners, order[:, 2:], 1)
        crossed = np.linalg.norm(far[:, 0] - near[:, 0], axis=1) > np.linalg.norm(far[:, 0] - near[:, 1], axis=1)
        far = np.where(crossed[:, None, None], far[:, ::-1], far)
        share = rng.random((len(corners), 1))
        root = near[:, 0] * share + near[:, 1] * (1.0 - share)
        tip = root + (far[:, 0] * share + far[:, 1] * (1.0 - share) - root) * length * rng.uniform(
            0.8, 1.1, (len(corners), 1)
        )
        t = np.linspace(0.0, 1.0, 4)[None, :, None]
        lift = np.array([0.0, 0.012, 0.0]) * np.sign(tip[:, 1:2] - root[:, 1:2] + 0.01)[:, None]
        strands[of_eye] = root[:, None] * (1 - t) + tip[:, None] * t + lift * t**2
    return strands


def _strands(nodes: Floats, colors: NDArray[np.float32], width: float, kind: str) -> Strands:
    return Strands(nodes.astype(np.float32), colors, width, kind, np.ones(len(nodes), np.float32))
