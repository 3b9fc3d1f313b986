"""Hair, ears, neck and clothes: what surrounds a drawn face."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Plane, clamp
from .conditions import Conditions
from .drawing import Canvas, bump, color, fill, soft, stroke
from .geometry import Pose, Solid, Surface, View, see
from .sitter import EAR_Y, Sitter, head_solid, light_forward
from .traits import Hair


def paint_behind(canvas: Canvas, sitter: Sitter) -> None:
    """What is behind the face: hair, neck, clothes, ears."""
    hair = sitter.person.hair
    if hair is not None:
        surface = _shell(sitter, hair)
        if hair.bun > 0.0:
            _bun(canvas, sitter, hair)
        cover = fill(surface.distance + _curls(sitter, hair), sitter.scale)
        canvas.paint(color(hair.color) * _hair_shade(sitter, hair, surface) * 0.62, cover, "hair")
    paint_neck(canvas, sitter)
    for side in (-1.0, 1.0):
        _ear(canvas, sitter, side)


def paint_body(canvas: Canvas, view: View, conditions: Conditions) -> None:
    """Clothes over shoulders and neck, down to the end of the canvas, which is the view's window."""
    pose = Pose.of(conditions)
    u, v = _upright(view, pose)
    side = np.abs(u)
    shoulders = v - 1.72 - 0.36 * side**1.3
    shoulders = np.minimum(shoulders, 1.9 + 0.12 * (v - 2.4) - side)
    collar = v - 2.1 + 1.1 * u * u
    inside = np.minimum(shoulders, collar)
    light = 0.75 + 0.25 * soft(shoulders - 0.1, 0.3) + 0.1 * clamp(u, -2.0, 2.0) * (conditions.light.direction[0])
    tone = color(conditions.clothes) * light_forward(conditions)
    canvas.paint(tone * light, fill(inside, view.scale), "clothes")
    canvas.paint(tone * 0.7, stroke(collar - 0.05, 0.03, view.scale) * fill(shoulders, view.scale))


def _upright(view: View, pose: Pose) -> tuple[Plane, Plane]:
    """The face plane turned about the neck, so that the shoulders follow the roll and the yaw only a little."""
    c, s = math.cos(0.8 * pose.roll), math.sin(0.8 * pose.roll)
    u, v = view.u, view.v - 1.4
    return c * u - s * v + (0.12 * pose.sin_yaw), s * u + c * v + 1.4


def paint_neck(canvas: Canvas, sitter: Sitter) -> None:
    """The neck, in the chin's shadow, and the clothes."""
    u = sitter.view.u + (0.15 * sitter.pose.sin_yaw)
    v = sitter.view.v
    half = 0.52 * sitter.person.head.width + 0.35 * clamp(v - 1.6) ** 2
    inside = np.minimum(np.minimum(half - np.abs(u), v - 0.7), 2.6 - v)
    chin = sitter.person.head.chin
    shadow = 0.9 - 0.34 * soft(chin + 0.2 - v, 0.22)
    across = clamp(u / half, -1.0, 1.0)
    lamp = sitter.conditions.light.direction[0]
    shadow = shadow * (1 - 0.16 * across * across + 0.12 * lamp * across)
    tone = color(sitter.person.skin) * color((1.0, 0.95, 0.93))
    canvas.paint(tone * sitter.light * shadow, fill(inside, sitter.scale), "neck")
    paint_body(canvas, sitter.view, sitter.conditions)


def _ear(canvas: Canvas, sitter: Sitter, side: float) -> None:
    person = sitter.person
    u0, v0 = sitter.pose.project(side * 0.99 * person.head.width, EAR_Y, -0.05)
    at = sitter.view.near(u0, v0, 0.5)
    u, v = sitter.view.u[at] - u0, sitter.view.v[at] - v0
    lean = u + (0.12 * side) * v
    rho = np.hypot(lean * (1 / 0.16), v * (1 / 0.27))
    inside = (1 - rho) * 0.16
    tone = color(person.skin) * color((0.97, 0.88, 0.86)) * sitter.light
    canvas.paint(tone, fill(inside, sitter.scale), "ear", at)
    inner = bump(lean - 0.02 * side, v + 0.04, 0.05, 0.13)
    canvas.paint(tone * 0.68, 0.8 * inner * fill(inside - 0.03, sitter.scale), at=at)
    if person.earrings is not None:
        ring = fill(0.06 - np.hypot(u, v - 0.31), sitter.scale)
        canvas.paint(color(person.earrings) * sitter.light, ring, at=at)


def paint_hair(canvas: Canvas, sitter: Sitter) -> None:
    """The hair in front of the head, and its shadow on the forehead."""
    hair = sitter.person.hair
    if hair is None:
        return
    surface = _shell(sitter, hair)
    azimuth = np.arctan2(surface.across, surface.ahead)
    edge = _hairline(hair, azimuth) - surface.y
    inside = np.minimum(edge, surface.distance + _curls(sitter, hair))
    # Where the shell closes below the chin its sides would meet in front of the neck.
    open_half = 0.85 * math.sin(hair.opening) * hair.sides * sitter.person.head.width
    inside = np.minimum(inside, np.maximum(np.abs(surface.x) - open_half, 0.6 - surface.y))
    dark = color(sitter.person.skin) * color((0.5, 0.38, 0.36))
    on_skin = fill(sitter.head.distance, sitter.scale)
    canvas.paint(dark, 0.4 * soft(inside + 0.08, 0.12) * on_skin)
    tone = color(hair.color) * _hair_shade(sitter, hair, surface)
    tone = tone * (1 - 0.18 * soft(0.05 - edge, 0.08))
    canvas.paint(tone, fill(inside, sitter.scale), "hair")


def _shell(sitter: Sitter, hair: Hair) -> Surface:
    head = head_solid(sitter.person)
    shell = Solid(
        head.width * hair.sides,
        head.depth * (0.5 + 0.5 * hair.sides),
        head.top * hair.above,
        hair.length,
        6.0 if hair.length > 1.0 else 3.0,
        3.0 if hair.length > 1.0 else 2.0,
        back=0.06,
    )
    return see(shell, sitter.pose, sitter.view.u, sitter.y)


def _hairline(hair: Hair, azimuth: Plane) -> Plane:
    """Height of the hair's lower edge around the head."""
    across = azimuth * azimuth
    wave = hair.fringe * np.abs(np.sin((hair.waves * 0.6) * azimuth))
    front = hair.line + hair.line_curve * across + hair.line_tilt * azimuth + wave
    front = np.minimum(front, 0.2)
    beside = soft(np.abs(azimuth) - hair.opening, 0.16)
    return front + beside * (hair.side - front)


def _curls(sitter: Sitter, hair: Hair) -> Plane | float:
    """How far the curls of the outline stand out."""
    if hair.curl <= 0.0:
        return 0.0
    around = np.arctan2(sitter.view.v - 0.1, sitter.view.u - 0.1 * sitter.pose.sin_yaw)
    return hair.curl * (np.abs(np.sin(around * hair.waves)) * 2 - 1)


def _hair_shade(sitter: Sitter, hair: Hair, surface: Surface) -> Plane:
    """Roundness, a gloss band and strands; strands finer than two pixels fade."""
    lamp = sitter.conditions.light
    round_ = 1 - 0.4 * surface.s * surface.s + (0.22 * lamp.direction[0]) * surface.s
    band = bump(surface.y + 1.05, surface.s - (0.4 * lamp.direction[0]), 0.17, 0.6)
    strands = 0 * surface.s
    for count, strength in ((hair.waves * 2, 0.09), (hair.waves * 5, 0.06)):
        visible = min(1.0, max(0.0, sitter.scale / count - 0.4))
        if visible > 0.0:
            wobble = (2.5 if hair.curl > 0.0 else 0.6) * np.sin(surface.y * 7.0)
            strands = strands + strength * visible * np.sin(surface.x * count + wobble)
    level = lamp.ambient + lamp.strength * (0.35 + 0.5 * lamp.direction[2])
    return level * (round_ + 0.35 * band + strands)


def _bun(canvas: Canvas, sitter: Sitter, hair: Hair) -> None:
    top = -sitter.person.head.top * hair.above
    u0, v0 = sitter.pose.project(0.0, top, -0.1)
    u, v = sitter.view.u - u0, sitter.view.v - v0
    distance = hair.bun - np.hypot(u, v)
    tone = 0.7 + 0.35 * bump(u, v + 0.1, 0.2, 0.15)
    canvas.paint(color(hair.color) * sitter.light * tone, fill(distance, sitter.scale), "hair")
