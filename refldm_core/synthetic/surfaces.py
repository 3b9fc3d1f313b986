"""Light on solid surfaces: skin with light bleeding through it, eyes, mouth, cloth and glasses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp, dot, linear, noise, smoothstep, unit
from .asset import head
from .camera import Camera
from .clothes import cloth_cover
from .eyes import eye_surface
from .figure import Figure, Mesh
from .lighting import Illumination, ShadowMap, gloss
from .rasterizer import Fragments
from .scipy_functions import blurred, reshaped, transposed
from .skin_detail import skin_detail
from .teeth import tooth_albedo

_BLEEDING = np.array([0.034, 0.013, 0.007])
"""Decimeters over which red, green and blue light spread below the skin."""
_BLEEDING_SHARE = 0.75
"""Share of the light that spreads."""
_WRAP = np.array([0.26, 0.12, 0.07], np.float32)
"""How far light reaches around the edge of its shadow, for red, green and blue."""
_TONGUE = (0.50, 0.22, 0.22)
_SKIN_REFLECTANCE = 0.022
_SOFTBOX = (0.2, 0.26)
"""Tangents of half the width and half the height, as angles, of a lamp seen from the eye."""
_CATCHLIGHT = 1.8
"""Brightness of the main lamp's image in the eye, relative to the irradiance of that lamp."""


@dataclass(frozen=True, eq=False)
class Layers:
    """What shading needs besides the surface itself.

    Attributes:
        figure: the posed person.
        camera: the camera.
        light: light on the figure.
        shadow: shadow of the main lamp.
        openness: (rows * columns,) ambient occlusion factor of each pixel.
        rows, columns: size of the supersampled picture.
        scale: pixels per decimeter.
    """

    figure: Figure
    camera: Camera
    light: Illumination
    shadow: ShadowMap
    openness: NDArray[np.float32]
    rows: int
    columns: int
    scale: float

    def smooth(self, values: Floats, pixels: NDArray[np.int64], sigma: float) -> NDArray[np.float32]:
        """Blur values (n,) at pixels; only these pixels contribute."""
        step = 2 if sigma > 4.0 else 1
        rows, columns = -(-self.rows // step), -(-self.columns // step)
        cells = (pixels // self.columns // step) * columns + pixels % self.columns // step
        count = rows * columns
        plane = reshaped(np.bincount(cells, values, count).astype(np.float32), rows, columns)
        mask = reshaped(np.bincount(cells, minlength=count).astype(np.float32), rows, columns)
        total = blurred(plane, sigma / step)
        weight = blurred(mask, sigma / step)
        return np.asarray((total / np.maximum(weight, 1e-4)).ravel()[cells], np.float32)


@dataclass(frozen=True, eq=False)
class _Points:
    """Visible points of a surface.

    Attributes:
        pixels: (n,) flat indices into the picture.
        places: (n, 3) positions in the scene.
        normals: (n, 3) unit normals.
        view: (n, 3) unit vectors toward the camera.
        lamp: (n,) share of the main lamp that the point sees.
        openness: (n,) ambient occlusion factor.
    """

    pixels: NDArray[np.int64]
    places: NDArray[np.float32]
    normals: Floats
    view: Floats
    lamp: Floats
    openness: Floats


def shade_surfaces(
    layers: Layers, fragments: dict[str, Fragments]
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Shade all visible fragments.

    Returns:
        Linear light, (rows * columns, 3), and the pixels of each part, name -> (rows * columns,) 0 or 1. The names are
        skin, face_skin, cloth, eyes, left_iris, right_iris, mouth and glasses.
    """
    light = np.zeros((layers.rows * layers.columns, 3), np.float32)
    covers: dict[str, NDArray[np.float32]] = {}

    def mark(name: str, pixels: NDArray[np.int64], value: Floats | float = 1.0) -> None:
        covers.setdefault(name, np.zeros(layers.rows * layers.columns, np.float32))[pixels] = value

    figure = layers.figure
    skin = fragments["skin"]
    light[skin.pixels] = _skin(layers, skin)
    cloth, inside = cloth_cover(figure.clothes, skin.at(head().skin)), skin.at(figure.fields.inside)
    mark("skin", skin.pixels, (cloth < 0.5) & (inside < 0.5))
    mark("cloth", skin.pixels, cloth >= 0.5)
    mark("mouth", skin.pixels, inside >= 0.5)
    mark("face_skin", skin.pixels, (skin.at(head().masks["face"]) > 0.5) & (cloth < 0.5))
    eyes = fragments["eyes"]
    light[eyes.pixels], iris = _eyes(layers, eyes)
    mark("eyes", eyes.pixels)
    on_left = eyes.at(head().parts["eyes"].matrix @ head().base)[:, 0] < 0
    mark("left_iris", eyes.pixels, iris * on_left)
    mark("right_iris", eyes.pixels, iris * ~on_left)
    for name in ("teeth", "tongue"):
        light[fragments[name].pixels] = _mouth(layers, name, fragments[name])
        mark("mouth", fragments[name].pixels)
    if "glasses" in fragments:
        light[fragments["glasses"].pixels] = _glasses(layers, fragments["glasses"])
        mark("glasses", fragments["glasses"].pixels)
    return light, covers


def _points(layers: Layers, fragments: Fragments, mesh: Mesh, softness: float) -> _Points:
    places, normals = fragments.all_at(mesh.vertices, mesh.normals)
    lamp = layers.shadow.light_on_surface(places, softness)
    if len(places):
        lamp = layers.smooth(lamp, fragments.pixels, max(1.0, 0.35 * softness * layers.scale))
    view = unit(layers.camera.position.astype(np.float32) - places)
    openness = layers.openness[fragments.pixels]
    return _Points(fragments.pixels, places, unit(normals), view, lamp, openness)


def _diffuse(light: Illumination, points: _Points, wrap: Floats) -> NDArray[np.float64]:
    """Return the diffuse light that arrives at the surface, (n, 3); `wrap` (3,) lets it reach around edges."""
    normals, openness = points.normals, points.openness[:, None]

    def lamp(direction: Floats) -> Floats:
        cosine = (normals @ direction)[:, None]
        return clamp((cosine + wrap) / (1.0 + wrap), 0.0, 1.0) ** 1.2

    total = light.key.color * lamp(light.key.direction) * points.lamp[:, None]
    total = total + light.fill.color * lamp(light.fill.direction) * (0.35 + 0.65 * openness)
    total = total + light.rim.color * lamp(light.rim.direction) * openness**2
    dim = 0.8 + 0.2 * points.lamp[:, None]
    return total + light.around(normals) * openness * dim


def _gloss(light: Illumination, points: _Points, roughness: Floats, reflectance: float = 0.028) -> NDArray[np.float64]:
    """Return the specular light, (n, 3)."""
    normals, view = points.normals, points.view
    total = light.key.color * gloss(normals, view, light.key.direction, roughness, reflectance) * points.lamp[:, None]
    total = total + light.fill.color * gloss(normals, view, light.fill.direction, roughness, reflectance)
    total = total + light.rim.color * gloss(normals, view, light.rim.direction, roughness, reflectance)
    facing = clamp(dot(normals, view), 0.0, 1.0)
    mirrored = unit(2.0 * facing[:, None] * normals - view)
    fresnel = reflectance + 0.35 * (1.0 - facing) ** 4 * (1.0 - roughness)
    return total + light.around(mirrored) * (fresnel * points.openness * (1.1 - roughness))[:, None]


def _skin(layers: Layers, fragments: Fragments) -> NDArray[np.float64]:
    figure = layers.figure
    points = _points(layers, fragments, figure.skin, layers.light.softness)
    fields = figure.fields
    values = (
        head().skin,
        fields.albedo,
        fields.roughness,
        fields.lips,
        fields.inside,
        fields.stubble,
        head().occlusion,
    )
    rest, albedo, roughness, lips, inside, stubble, occlusion = fragments.all_at(*values)
    cloth = cloth_cover(figure.clothes, rest)
    is_bare = (cloth < 0.5).astype(np.float32)[:, None]
    detail = skin_detail(figure.person, rest, lips, stubble, 1.0 / layers.scale)
    tilted = unit(points.normals + is_bare * (detail.tilt @ transposed(figure.head_rotation)))
    open_skin = points.openness * (0.25 + 0.75 * occlusion**0.8)
    # Light reaches the inside of the mouth only through its opening.
    open_skin = open_skin * (1.0 - 0.75 * inside)
    points = _Points(points.pixels, points.places, tilted, points.view, points.lamp * (1.0 - 0.8 * inside), open_skin)
    arriving = _spread_below_skin(layers, points.pixels, _diffuse(layers.light, points, _WRAP))
    albedo = albedo * detail.factor
    skin = (
        albedo * arriving + _gloss(layers.light, points, roughness, _SKIN_REFLECTANCE) * (1.0 - 0.6 * inside)[:, None]
    )
    return skin * is_bare + _cloth(layers, points, rest) * (1.0 - is_bare)


def _spread_below_skin(layers: Layers, pixels: NDArray[np.int64], arriving: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spread light below the skin; red spreads farthest."""
    result = np.empty_like(arriving)
    for channel, reach in enumerate(_BLEEDING):
        spread = layers.smooth(arriving[:, channel], pixels, max(0.4, float(reach) * layers.scale))
        result[:, channel] = arriving[:, channel] + _BLEEDING_SHARE * (spread - arriving[:, channel])
    return result


def _cloth(layers: Layers, points: _Points, rest: Floats) -> NDArray[np.float64]:
    clothes = layers.figure.clothes
    weave = noise(rest, 40.0, clothes.seed) * 0.05 + noise(rest, 6.0, clothes.seed + 1) * 0.08
    folds = np.stack([noise(rest, 3.0, clothes.seed + k) for k in (2, 3, 4)], 1)
    folded = _Points(
        points.pixels, points.places, unit(points.normals + 0.18 * folds), points.view, points.lamp, points.openness
    )
    return linear(clothes.color) * (1.0 + weave)[:, None] * _diffuse(layers.light, folded, np.zeros(3))


def _eyes(layers: Layers, fragments: Fragments) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the light from eyeballs, (n, 3), and where the plain iris is visible, (n,) 0 or 1."""
    figure, light = layers.figure, layers.light
    points = _points(layers, fragments, figure.eyes, 0.05)
    directions = unit(fragments.at(figure.gaze_directions))
    to_eye = figure.eye_frame
    surface = eye_surface(figure.person.eyes, directions, transposed(to_eye) @ light.key.direction, figure.person.seed)
    openness = points.openness**1.3
    dimmed = _Points(points.pixels, points.places, points.normals, points.view, 0.25 + 0.75 * points.lamp, openness)
    light_out = surface.albedo * _diffuse(light, dimmed, np.full(3, 0.2))
    normals = unit(surface.normals @ transposed(to_eye))
    facing = clamp(dot(normals, points.view), 0.0, 1.0)[:, None]
    mirrored = unit(2.0 * facing * normals - points.view)
    fresnel = 0.025 + 0.5 * (1.0 - facing) ** 5
    light_out = light_out + light.around(mirrored) * fresnel * (0.6 * openness)[:, None]
    shine = _softbox(mirrored, light.key.direction) * (0.5 + 0.5 * points.lamp) * clamp(2.0 * openness, 0.0, 1.0)
    light_out = light_out + _CATCHLIGHT * shine[:, None] * light.key.color
    light_out = light_out + (0.1 * _softbox(mirrored, light.fill.direction) * openness)[:, None] * light.fill.color
    off_pupil = smoothstep(0.45, 0.55, np.arccos(clamp(directions[:, 2], -1, 1)) / figure.person.eyes.iris)
    seen = (surface.iris > 0.7) & (off_pupil > 0.3) & (shine < 0.05)
    return light_out, seen.astype(np.float32)


def _softbox(mirrored: Floats, direction: Floats) -> Floats:
    """Return how much a mirrored ray meets the lamp, (n,) in [0, 1]. The lamp is a window with a soft edge."""
    side = unit(np.cross(np.array([0.0, 1.0, 0.0], np.float32), direction))
    up = np.cross(direction, side)
    ahead = np.maximum(mirrored @ direction, 1e-3)
    x, y = np.abs(mirrored @ side) / ahead, np.abs(mirrored @ up) / ahead
    inside = smoothstep(_SOFTBOX[0] + 0.06, _SOFTBOX[0] - 0.06, x) * smoothstep(
        _SOFTBOX[1] + 0.06, _SOFTBOX[1] - 0.06, y
    )
    return inside * ((mirrored @ direction) > 0.1)


def _mouth(layers: Layers, name: str, fragments: Fragments) -> NDArray[np.float64]:
    mesh = layers.figure.teeth if name == "teeth" else layers.figure.tongue
    points = _points(layers, fragments, mesh, 0.05)
    rest = fragments.at(head().parts[name].matrix @ head().base)
    # Less light comes in between the lips farther back.
    entering = smoothstep(1.0, 1.46, rest[:, 2]) * points.openness
    inside = _Points(points.pixels, points.places, points.normals, points.view, 0.15 + 0.85 * points.lamp, entering)
    albedo = tooth_albedo(rest) if name == "teeth" else np.tile(linear(_TONGUE), (len(rest), 1))
    arriving = _diffuse(layers.light, inside, np.full(3, 0.3)) * (0.2 + 0.8 * entering)[:, None]
    rough = np.full(len(rest), 0.3 if name == "teeth" else 0.4)
    return albedo * arriving + _gloss(layers.light, inside, rough, 0.04) * entering[:, None]


def _glasses(layers: Layers, fragments: Fragments) -> NDArray[np.float64]:
    mesh, glasses = layers.figure.glasses, layers.figure.person.glasses
    if mesh is None or glasses is None:
        return np.zeros((0, 3))
    points = _points(layers, fragments, mesh, 0.05)
    color, rough = linear(glasses.color), np.full(len(points.pixels), 0.3)
    if glasses.metal:
        return color * 0.3 * _diffuse(layers.light, points, np.zeros(3)) + color * _gloss(
            layers.light, points, rough, 0.6
        )
    return color * _diffuse(layers.light, points, np.zeros(3)) + _gloss(layers.light, points, rough, 0.045)
