"""Eyes and glasses."""

from __future__ import annotations

import math

import numpy as np

from .arrays import Plane, clamp
from .drawing import Canvas, Window, bump, color, fill, segment, soft, stroke
from .sitter import GLASSES_OUT, Sitter, head_solid
from .traits import STANDARD_GLASSES, Glasses


def paint_eyes(canvas: Canvas, sitter: Sitter) -> tuple[Plane, Plane]:
    """Paint both eyes.

    Returns:
        Of the left and of the right eye as seen: (height, width) how much of each pixel is plain iris, without pupil,
        rim, gloss and the lid's shadow.
    """
    left, right = (_paint_eye(canvas, sitter, side) for side in (-1.0, 1.0))
    return left, right


def _paint_eye(canvas: Canvas, sitter: Sitter, side: float) -> Plane:
    eyes, expression, scale = sitter.person.eyes, sitter.conditions.expression, sitter.scale
    iris_cover = np.zeros_like(sitter.y)
    at = sitter.at(side * eyes.x, 0.0, 1.6 * eyes.half_width)
    x, y = sitter.chart(at)
    if x.size == 0:
        return iris_cover
    x = x - (side * eyes.x)
    c, s = math.cos(eyes.slant), (math.sin(eyes.slant) * side)
    out, down = side * (c * x - s * y), c * y + s * x  # out: away from the nose
    on_head = fill(sitter.head.distance[at], scale)
    q = out * (1 / eyes.half_width)
    bent = q + eyes.skew * clamp(1 - q * q)
    arch = clamp(1 - bent * bent) ** 0.62
    opening = expression.eyes_open
    squeeze = 1.0 - 0.25 * max(0.0, expression.smile)
    upper = down + (eyes.upper * opening) * arch
    lower = (eyes.lower * squeeze) * clamp(1 - q * q) ** 0.7 - down
    ends = eyes.half_width * (1 - np.abs(q))
    white = fill(np.minimum(np.minimum(upper, lower), ends) * 0.9, scale) * on_head
    skin = color(sitter.person.skin)

    # The lids' skin, then the white with the upper lid's shadow.
    lid = skin * 0.86 if eyes.shadow is None else color(eyes.shadow)
    strength = 0.6 if eyes.shadow is not None else 0.4
    shade = sitter.shade[(slice(None), *at)]
    canvas.paint(
        lid * shade,
        on_head * strength * soft(upper + 0.07, 0.05) * soft(0.1 - upper, 0.1) * soft(ends + 0.02, 0.08),
        at=at,
    )
    canvas.paint(
        skin * color((0.62, 0.48, 0.46)) * shade,
        0.7 * on_head * stroke(upper + 0.075, 0.014, scale) * soft(ends, 0.1),
        at=at,
    )
    light = sitter.light
    ball = (0.86 + 0.14 * soft(upper - 0.05, 0.08)) * (0.9 + 0.1 * bump(out, down, eyes.half_width * 0.8, 0.3))
    canvas.paint(color((0.97, 0.97, 0.98)) * (0.4 + 0.6 * light) * ball, white, "eye", at)

    gx, gy = expression.gaze
    ix = x - (0.09 * gx * eyes.half_width / 0.3)
    iy = y - (0.05 * gy + 0.02 - 0.5 * (eyes.upper * opening - eyes.lower))
    radius = np.hypot(ix, iy)
    r = eyes.iris
    rho = radius * (1 / r)
    base = color(eyes.color)
    glow = 0.86 + 0.3 * soft(iy * (1 / r), 0.9) - 0.06 * soft(0.55 - rho, 0.3)
    ring = 1 - 0.62 * soft(rho - 0.9, 0.1)
    tint = clamp(base * glow * ring * (0.35 + 0.65 * light))
    disc = white * fill(r - radius, scale)
    shadow = 1 - 0.35 * soft(0.03 - upper, 0.05)
    canvas.paint(tint * shadow, disc, at=at)
    pupil = fill(0.42 * r - radius, scale)
    canvas.paint(color((0.03, 0.03, 0.04)), disc * pupil, at=at)
    lamp = sitter.conditions.light.direction
    spot_x, spot_y = 0.34 * r * (1.0 if lamp[0] > 0 else -1.0), -0.36 * r
    gloss = fill(0.24 * r - np.hypot(ix - spot_x, iy - spot_y), scale)
    small = fill(0.1 * r - np.hypot(ix + spot_x, iy - 0.4 * r), scale)
    canvas.paint(color((1.0, 1.0, 1.0)), 0.95 * white * gloss + 0.6 * disc * small, at=at)

    _lines(canvas, sitter, at, (upper, lower, q))
    plain = disc * (1 - pupil) * (1 - gloss) * fill(0.84 * r - radius, scale) * fill(upper - 0.045, scale)
    iris_cover[at] = plain
    return iris_cover


def _lines(canvas: Canvas, sitter: Sitter, at: Window, lids: tuple[Plane, Plane, Plane]) -> None:
    """The dark edge of the upper lid with its lashes, and the fine one of the lower lid.

    Args:
        canvas, sitter: as elsewhere.
        at: the eye's window.
        lids: distances to the upper and the lower lid, and -1 .. 1 from the inner to the outer corner.
    """
    upper, lower, q = lids
    on_head = fill(sitter.head.distance[at], sitter.scale)
    eyes, scale = sitter.person.eyes, sitter.scale
    dark = color((0.10, 0.07, 0.07)) * 0.7 + color(sitter.person.brows.color) * 0.2
    growing = clamp(0.5 + 0.5 * q)
    thick = 0.014 + (0.016 + 0.02 * eyes.lashes) * growing
    wing = (0.05 + 0.35 * eyes.lashes) * clamp(q - 0.9) * (eyes.half_width * 4)
    reach = np.minimum(1.0 + 0.22 * eyes.lashes - q, q + 1.03) * eyes.half_width
    fade = clamp((1.25 - q) * 4)
    canvas.paint(dark, on_head * stroke(upper + wing, thick * fade, scale) * fill(reach, scale), at=at)
    skin = color(sitter.person.skin) * color((0.5, 0.36, 0.35)) * sitter.shade[(slice(None), *at)]
    canvas.paint(
        skin, 0.7 * on_head * stroke(lower, 0.009 + 0.006 * growing, scale) * soft(0.98 - np.abs(q), 0.08), at=at
    )


def frame_cover(sitter: Sitter, glasses: Glasses | None) -> Plane:
    """How much of each pixel the rims and the bridge of glasses cover; None takes the standard ones."""
    shape = glasses or STANDARD_GLASSES
    side, x, y = _glasses_plane(sitter)
    rim = stroke(rim_distance(sitter, shape), 0.5 * shape.line, sitter.scale)
    inner = sitter.person.eyes.x - shape.half_width
    bridge = stroke(y + 0.08 - 0.25 * x * x, 0.45 * shape.line, sitter.scale) * fill(inner - side, sitter.scale)
    return np.maximum(rim, bridge)


def paint_temples(canvas: Canvas, sitter: Sitter) -> None:
    """The arms of the glasses from the rims to the ears; hair comes over them."""
    glasses = sitter.person.glasses
    if glasses is None:
        return
    solid = head_solid(sitter.person)
    for side in (-1.0, 1.0):
        edge = side * (sitter.person.eyes.x + glasses.half_width)
        start = sitter.pose.project(edge, -0.1, _glasses_z(sitter), GLASSES_OUT)
        end = sitter.pose.project(side * 1.02 * solid.width, -0.06, 0.0)
        if side * (end[0] - start[0]) < 0.0:
            continue  # behind the face
        distance = segment(sitter.view.u, sitter.view.v, start, end)
        canvas.paint(color(glasses.color) * sitter.light, stroke(distance, 0.5 * glasses.line, sitter.scale), "glasses")


def paint_glasses(canvas: Canvas, sitter: Sitter) -> None:
    """Rims, bridge and a faint reflection."""
    glasses = sitter.person.glasses
    if glasses is None:
        return
    _, x, y = _glasses_plane(sitter)
    distance = rim_distance(sitter, glasses)
    streak = soft(0.06 - np.abs(np.abs(x) - sitter.person.eyes.x + 0.7 * y - 0.12), 0.06)
    canvas.paint(color((1.0, 1.0, 1.0)), fill(distance, sitter.scale) * (0.05 + 0.07 * streak))
    shine = 0.82 + 0.3 * soft(-y - 0.1, 0.2)
    canvas.paint(color(glasses.color) * sitter.light * shine, frame_cover(sitter, glasses), "glasses")


def rim_distance(sitter: Sitter, glasses: Glasses) -> Plane:
    """Distance to the nearer rim, in units, positive inside the lens."""
    side, _, y = _glasses_plane(sitter)
    x = side - sitter.person.eyes.x
    y = y - 0.04
    a, b = glasses.half_width, glasses.half_height
    if glasses.shape == "round":
        rho = np.hypot(x / a, y / b)
        return (1 - rho) * min(a, b)
    if glasses.shape == "cat":
        y = y + 0.28 * x * clamp(x / a + 0.4, 0.0, 1.4)
        b = b * 0.95
    corner = {"square": 0.1, "wide": 0.16, "cat": 0.22, "round": 0.3}[glasses.shape]
    dx, dy = np.abs(x) - (a - corner), np.abs(y) - (b - corner)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    return corner - outside - np.minimum(np.maximum(dx, dy), 0)


def _glasses_z(sitter: Sitter) -> float:
    return head_solid(sitter.person).z_at(sitter.person.eyes.x, 0.0) + GLASSES_OUT


def _glasses_plane(sitter: Sitter) -> tuple[Plane, Plane, Plane]:
    """(|x|, x, y) on the flat plane of the glasses."""
    pose = sitter.pose
    x = (sitter.view.u - (_glasses_z(sitter) * pose.sin_yaw)) * (1 / pose.cos_yaw)
    return np.abs(x), x, sitter.y + (GLASSES_OUT * pose.sin_pitch)
