"""Render a figure as a camera sees it: linear light with transparency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import Floats, clamp
from .asset import head
from .camera import Camera
from .figure import Figure, Mesh
from .hair_shading import lit_strands
from .lighting import Illumination, ShadowMap
from .rasterizer import Fragments, rasterize
from .scipy_functions import blurred, reshaped
from .strand_splat import splat, thinned
from .strands import Strands
from .surfaces import Layers, shade_surfaces
from .traits import Person

Plane = NDArray[np.float32]

_DARK_SKIN_LIFT = 0.7
"""Stops of additional exposure for the darkest skin: about half of what its reflectance would take."""
_HIDDEN = 0.03
"""Decimeters. A node of a strand that lies this far behind a surface is hidden."""

_OCCLUSION_REACHES = ((0.03, 3.0), (0.10, 1.2))
"""Pairs: a radius in decimeters, and how strongly nearer surfaces within it shade a point."""


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered figure.

    Attributes:
        color: (h, w, 3) linear, multiplied by `alpha`.
        alpha: (h, w) cover in [0, 1].
        covers: name -> (h, w) share of each pixel that shows the part. The names are face, face_skin, skin, eyes,
            left_iris, right_iris, mouth, cloth, glasses, hair, brow, beard and lash; left and right are as seen.
        moles: (n, 4) x, y and radius in pixels, and visible share, of each of the person's moles.
    """

    color: Plane
    alpha: Plane
    covers: dict[str, Plane]
    moles: NDArray[np.float64]


def render(
    figure: Figure, camera: Camera, light: Illumination, height: int, width: int, *, supersampling: int = 2
) -> Rendering:
    """Render a figure.

    Args:
        figure: the posed person.
        camera: the camera.
        light: light on the figure.
        height, width: size of the picture in pixels.
        supersampling: samples along each side of a pixel.
    """
    rows, columns = height * supersampling, width * supersampling
    scale = camera.scale * supersampling
    meshes = _meshes(figure)
    visible, depth = rasterize(
        [(camera.grid(mesh.vertices, supersampling), mesh.quads) for mesh in meshes.values()], rows, columns
    )
    fragments = dict(zip(meshes, visible, strict=True))
    shadow = ShadowMap.of(light.key.direction, figure.center, _shadow_casters(figure))
    strands = [thinned(s, scale) for s in figure.strands if len(s.nodes)]
    strands = [_visible(s, camera, supersampling, depth) for s in strands]
    nodes = [camera.grid(s.nodes, supersampling) for s in strands]
    lit = [lit_strands(s, figure, camera, light, shadow) for s in strands]
    hair = splat(list(zip(strands, nodes, lit, strict=True)), depth, scale)
    nearest = np.where(
        (hair.cover > 0.5) & (hair.depth > 0), np.minimum(hair.depth, np.where(depth > 0, depth, 99.0)), depth
    )
    layers = Layers(figure, camera, light, shadow, _openness(nearest, depth, scale).ravel(), rows, columns, scale)
    color, covers = shade_surfaces(layers, fragments)
    solid = (depth > 0).astype(np.float32)
    cover = hair.cover[..., None]
    color = reshaped(color, rows, columns, 3)
    color = color * solid[..., None] * (1 - cover) + hair.color * cover
    alpha = 1.0 - (1.0 - solid) * (1.0 - hair.cover)
    planes = {name: reshaped(plane, rows, columns) * (1 - hair.cover) for name, plane in covers.items()}
    hidden = hair.kinds.get("hair", np.zeros_like(hair.cover))
    planes["face"] = np.asarray(_face(covers, rows, columns) * (1.0 - hidden), np.float32)
    planes |= hair.kinds
    return Rendering(
        _shrunk(color, supersampling),
        _shrunk(alpha, supersampling),
        {name: _shrunk(plane, supersampling) for name, plane in planes.items()},
        _moles(figure, camera, fragments["skin"], hair.cover, supersampling),
    )


def exposed(rendering: Rendering, person: Person) -> Plane:
    """Return the light of a figure, multiplied by its alpha and exposed for the person's skin: (h, w, 3)."""
    return rendering.color * np.float32(2.0 ** (_DARK_SKIN_LIFT * person.skin.melanin))


def _meshes(figure: Figure) -> dict[str, Mesh]:
    meshes = {"skin": figure.skin, "eyes": figure.eyes, "teeth": figure.teeth, "tongue": figure.tongue}
    return meshes if figure.glasses is None else meshes | {"glasses": figure.glasses}


def _visible(strands: Strands, camera: Camera, supersampling: int, depth: Plane) -> Strands:
    """Keep the strands that have a node in the picture that is not behind the body."""
    rows, columns = depth.shape
    places = camera.grid(strands.nodes, supersampling)
    x, y = places[..., 0].astype(np.int32), places[..., 1].astype(np.int32)
    inside = (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
    hiding = depth[clamp(y, 0, rows - 1).astype(np.int32), clamp(x, 0, columns - 1).astype(np.int32)]
    keep = (inside & ((hiding == 0) | (places[..., 2] < hiding + _HIDDEN))).any(1)
    return Strands(strands.nodes[keep], strands.colors[keep], strands.width, strands.kind, strands.thinness[keep])


def _shadow_casters(figure: Figure) -> Floats:
    points = [figure.skin.vertices]
    points += [reshaped(s.nodes[::3], -1, 3) for s in figure.strands if s.kind == "hair"]
    if figure.glasses is not None:
        points.append(figure.glasses.vertices)
    return np.concatenate(points)


def _openness(nearest: Plane, depth: Plane, scale: float) -> Plane:
    """Return the ambient occlusion factor of each pixel, (h, w) in [0, 1]: 1 where nothing near lies before it."""
    present = (nearest > 0).astype(np.float32)
    result = np.ones_like(depth)
    for reach, strength in _OCCLUSION_REACHES:
        sigma = reach * scale
        weight = np.maximum(blurred(present, sigma), 1e-3)
        around = blurred(np.where(nearest > 0, nearest, 0.0), sigma) / weight
        result *= clamp(1.0 - strength * clamp(depth - around, 0.0, 0.3), 0.22, 1.0)
    return result


def _face(covers: dict[str, Floats], rows: int, columns: int) -> Plane:
    """Return the cover of the face with eyes, mouth and glasses, before hair hides it."""
    names = ("face_skin", "eyes", "mouth", "glasses")
    total = sum((covers[name] for name in names if name in covers), np.zeros(rows * columns, np.float32))
    return reshaped(np.minimum(total, 1.0), rows, columns).astype(np.float32)


def _shrunk(plane: Floats, factor: int) -> Plane:
    """Average squares of `factor` by `factor` pixels."""
    rows, columns = plane.shape[0] // factor, plane.shape[1] // factor
    squares = reshaped(plane, rows, factor, columns, factor, *plane.shape[2:])
    return squares.mean((1, 3)).astype(np.float32)


def _moles(figure: Figure, camera: Camera, skin: Fragments, hidden: Plane, supersampling: int) -> NDArray[np.float64]:
    """Locate the moles: (n, 4) x, y and radius in pixels, and visible share."""
    rest = skin.at(head().skin)
    result = np.zeros((len(figure.person.skin.moles), 4))
    for k, mole in enumerate(figure.person.skin.moles):
        distance_on_head = np.hypot(head().skin[:, 0] - mole.x, head().skin[:, 1] - mole.y) + 9.0 * (
            head().skin[:, 2] < 0.7
        )
        place = figure.skin.vertices[int(distance_on_head.argmin())]
        x, y = camera.project(place)
        distance = camera.distance + camera.target[2] - float(place[2])
        radius = mole.radius * camera.scale * camera.distance / distance
        inside = (np.hypot(rest[:, 0] - mole.x, rest[:, 1] - mole.y) < mole.radius) & (rest[:, 2] > 0.7)
        pixels = skin.pixels[inside]
        visible_share = float((1.0 - hidden.ravel()[pixels]).sum()) / max(np.pi * (radius * supersampling) ** 2, 1e-6)
        if len(pixels):
            rows, columns = np.divmod(pixels, hidden.shape[1])
            x, y = (columns.mean() + 0.5) / supersampling - 0.5, (rows.mean() + 0.5) / supersampling - 0.5
        result[k] = x, y, radius, min(visible_share, 1.0)
    return result
