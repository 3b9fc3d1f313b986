"""Light on strands of hair, after Kajiya and Kay (1989), with a white and a colored highlight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp, dot, smoothstep, unit
from .camera import Camera
from .figure import Figure
from .lighting import Illumination, ShadowMap
from .scipy_functions import reshaped
from .strands import Strands

_SKULL = np.array([0.0, 0.25, -0.95])
"""Decimeters from the point between the eyes to the middle of the skull."""
_DENSITY = {"hair": 5.5, "beard": 4.0}
"""How fast light fades in hair, per decimeter."""
_WHITE_SHIFT, _COLORED_SHIFT = -0.10, 0.14
"""Tilt of the tangent toward the outside for each highlight. It models a hair's scales and separates the two."""


def lit_strands(
    strands: Strands, figure: Figure, camera: Camera, light: Illumination, shadow: ShadowMap
) -> NDArray[np.float32]:
    """Return linear light from each node of the strands toward the camera, (n, m, 3)."""
    count, nodes = strands.nodes.shape[:2]
    points = reshaped(strands.nodes, -1, 3).astype(np.float32)
    tangents = reshaped(unit(_tangents(strands.nodes)), -1, 3).astype(np.float32)
    middle = (figure.center + figure.head_rotation @ _SKULL).astype(np.float32)
    outward = unit(points - middle)
    view = unit(camera.position.astype(np.float32) - points)
    color = np.repeat(strands.colors, nodes, axis=0)
    lamp_share = shadow.light_in_hair(points, _DENSITY.get(strands.kind, 2.0))[:, None]
    t = np.tile(np.linspace(0.0, 1.0, nodes, dtype=np.float32), count)[:, None]
    root = (0.5 + 0.5 * smoothstep(0.0, 0.4, t)) if strands.kind == "hair" else np.float32(0.85)

    def diffuse(direction: NDArray[np.float32]) -> Floats:
        cosine = tangents @ direction
        sine = np.sqrt(clamp(1.0 - cosine * cosine, 0.0, 1.0))
        return (sine * clamp(0.5 + 0.5 * (outward @ direction), 0.0, 1.0))[:, None]

    def highlight(direction: NDArray[np.float32], shift: float, power: float) -> Floats:
        half = unit(view + direction)
        along = dot(tangents + shift * outward, half)
        sine: Floats = np.sqrt(clamp(1.0 - along * along, 0.0, 1.0))
        return (sine**power)[:, None]

    facing = clamp(outward @ light.key.direction * 0.7 + 0.35, 0.0, 1.0)[:, None]
    key = light.key.color * lamp_share
    body = key * diffuse(light.key.direction) + 0.7 * light.fill.color * diffuse(light.fill.direction)
    body = body + 0.8 * light.rim.color * diffuse(light.rim.direction) + 0.85 * light.around(outward)
    white = 0.045 * highlight(light.key.direction, _WHITE_SHIFT, 90.0)
    colored = color * 0.55 * highlight(light.key.direction, _COLORED_SHIFT, 22.0)
    shine = key * facing * (white + colored) + 0.05 * light.rim.color * highlight(light.rim.direction, 0.0, 50.0)
    if strands.kind != "hair":
        shine = 0.35 * shine
    return reshaped(((color * body + shine) * root), count, nodes, 3).astype(np.float32)


def _tangents(nodes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the difference of the two nodes next to each node, (n, m, 3)."""
    end_tangents = nodes[:, 1:2] - nodes[:, :1], nodes[:, -1:] - nodes[:, -2:-1]
    return np.concatenate([end_tangents[0], 0.5 * (nodes[:, 2:] - nodes[:, :-2]), end_tangents[1]], 1)
