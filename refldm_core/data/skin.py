"""The face's skin and what is on it: lips, brows, nose, beard, moles, freckles, scar."""

from __future__ import annotations

import numpy as np

from .arrays import Color, Plane, clamp
from .drawing import PARTS, Canvas, Window, bump, color, fill, segment, soft, stroke
from .sitter import Sitter, corner_lift, mouth_half_width
from .traits import SyntheticPerson


def paint_face(canvas: Canvas, sitter: Sitter) -> None:
    """Paint the head without eyes, hair and ears; `canvas` is the sitter's window."""
    height, width = sitter.y.shape
    skin = Canvas.blank(height, width, sitter.person.skin)
    _blush(skin, sitter)
    _beard(skin, sitter)
    _freckles(skin, sitter)
    _nose(skin, sitter)
    _lips(skin, sitter)
    _scar(skin, sitter)
    _moles(skin, sitter)
    _brows(skin, sitter)
    skin.rgb[:] *= sitter.shade
    _shine(skin, sitter)
    cover = fill(sitter.head.distance, sitter.scale)
    canvas.paint(skin.rgb, cover)
    inside = cover > 0.5
    canvas.parts[inside] = skin.parts[inside]


def _blush(skin: Canvas, sitter: Sitter) -> None:
    person = sitter.person
    red = color(person.skin) * color((0.98, 0.72, 0.68))
    for side in (-1.0, 1.0):
        at = sitter.at(side * (person.eyes.x + 0.1), 0.5, 0.6)
        x, y = sitter.chart(at)
        skin.paint(red, person.blush * bump(x - side * (person.eyes.x + 0.1), y - 0.5, 0.24, 0.17), at=at)


def _freckles(skin: Canvas, sitter: Sitter) -> None:
    brown = color(sitter.person.skin) * color((0.72, 0.55, 0.45))
    for spot in sitter.person.freckles:
        at = sitter.at(spot.x, spot.y, spot.radius * 1.5)
        x, y = sitter.chart(at)
        thin = min(1.0, (1.6 * spot.radius * sitter.scale) ** 2)  # a spot smaller than a pixel covers less of it
        skin.paint(brown, 0.85 * thin * fill(spot.radius - np.hypot(x - spot.x, y - spot.y), sitter.scale), at=at)


def mole_color(person: SyntheticPerson) -> Color:
    """Dark brown, darker on dark skin."""
    return color(person.skin) * color((0.34, 0.24, 0.22))


def _moles(skin: Canvas, sitter: Sitter) -> None:
    for spot in sitter.person.moles:
        at = sitter.at(spot.x, spot.y, spot.radius * 1.6)
        x, y = sitter.chart(at)
        cover = soft(spot.radius - np.hypot(x - spot.x, y - spot.y), max(0.02, 0.5 / sitter.scale))
        skin.paint(mole_color(sitter.person), cover, at=at)


def _scar(skin: Canvas, sitter: Sitter) -> None:
    scar = sitter.person.scar
    if scar is None:
        return
    x, y = (scar.x0 + scar.x1) / 2, (scar.y0 + scar.y1) / 2
    at = sitter.at(x, y, 0.3)
    px, py = sitter.chart(at)
    distance = segment(px, py, (scar.x0, scar.y0), (scar.x1, scar.y1))
    skin.paint(color(sitter.person.skin) * color((0.78, 0.5, 0.48)), 0.8 * soft(scar.width - distance, 0.03), at=at)
    pale = clamp(color(sitter.person.skin) * 1.05 + 0.1)
    skin.paint(pale, stroke(distance, 0.32 * scar.width, sitter.scale), at=at)


def _brows(skin: Canvas, sitter: Sitter) -> None:
    brows, eyes = sitter.person.brows, sitter.person.eyes
    raised = 0.07 * sitter.conditions.expression.brow_raise
    for side in (-1.0, 1.0):
        middle = brows.y - raised
        at = sitter.at(side * eyes.x, middle, brows.half_width * 1.5)
        x, y = sitter.chart(at)
        along = (side * x - (eyes.x - 0.02)) * (1 / brows.half_width)
        line = middle - brows.arch * (1 - along * along) - (brows.slope * brows.half_width * 0.5) * along
        taper = clamp((1.05 - along) * 0.62) ** 0.7 * clamp((along + 1.0) * 4) ** 0.5
        inside = np.minimum(
            (0.5 * brows.thickness) * taper - np.abs(y - line),
            brows.half_width * (1 - np.abs(along)),
        )
        skin.paint(color(brows.color), 0.94 * soft(inside, max(0.012, 0.5 / sitter.scale)), "brow", at)


def _nose(skin: Canvas, sitter: Sitter) -> None:
    """Shadows that the relief alone would not give: under the tip, in the nostrils, around the wings."""
    nose = sitter.person.nose
    at = sitter.at(0.0, 0.6 * nose.tip, 0.75 * nose.tip, nose.out)
    x, y = sitter.nose_chart(at)
    dark = color(sitter.person.skin) * color((0.62, 0.42, 0.40))
    half = nose.half_width
    low = y - nose.tip
    skin.paint(dark, 0.4 * bump(x, low - 0.13, 0.75 * nose.half_width, 0.035), at=at)
    side = np.abs(x)
    wing = np.hypot(side - 0.72 * half, low - 0.02)
    crease = soft(0.02 - np.abs(wing - (0.36 * nose.half_width + 0.01)), 0.022) * soft(side - 0.78 * half, 0.05)
    skin.paint(dark, 0.42 * crease * soft(low + 0.1, 0.06), at=at)
    nostril = 1 - np.hypot((side - 0.48 * half) / (0.22 * half + 0.012), (low - 0.085 + 0.12 * side) / 0.036)
    skin.paint(dark * color((0.55, 0.5, 0.5)), 0.75 * soft(nostril, 0.4), at=at)
    skin.paint(dark, 0.28 * bump(side - 1.3 * nose.bridge, low + 0.6 * nose.tip, 0.05, 0.3 * nose.tip), at=at)
    inside = np.minimum(0.4 * half + 0.6 * half * (1 + low / nose.tip) - side, 0.1 - low)
    skin.parts[at][np.minimum(inside, low + (0.8 * nose.tip)) > 0] = PARTS.index("nose")


def _lips(skin: Canvas, sitter: Sitter) -> None:
    mouth, expression = sitter.person.mouth, sitter.conditions.expression
    at = sitter.at(0.0, mouth.y, 0.85)
    x, y = sitter.chart(at)
    half = mouth_half_width(sitter.person, sitter.conditions)
    q = x * (1 / half)
    arch = clamp(1 - q * q)
    middle = y - mouth.y + corner_lift(sitter.person, sitter.conditions) * q * q
    gap = (0.3 * expression.mouth_open) * arch**0.8
    low, high = middle - 0.72 * gap, -middle - 0.28 * gap
    bow = 1 - mouth.bow * bump(q, 0 * q, 0.13, 1.0)
    upper = mouth.upper * arch**0.7 * bow - high
    lower = mouth.lower * arch**0.6 - low
    ends = half * (1 - np.abs(q))
    cover = fill(np.minimum(np.minimum(upper, lower), ends), sitter.scale)
    lip = color(sitter.person.skin) * 0.25 + color(mouth.color) * 0.75
    skin.paint(
        color(sitter.person.skin) * color((0.75, 0.6, 0.58)),
        0.5 * soft(0.03 - np.abs(lower + 0.05), 0.05) * arch,
        at=at,
    )
    skin.paint(lip, cover, "lips", at)
    skin.paint(lip * 0.78, cover * soft(high + 0.01, 0.04) * 0.8, at=at)
    skin.paint(
        lip * 0.6 + 0.38,
        0.45 * cover * bump(x + 0.03, low - 0.5 * mouth.lower, 0.4 * half, 0.3 * mouth.lower),
        at=at,
    )
    if expression.mouth_open < 0.1:
        line = stroke(middle, 0.018 * (0.2 + 0.8 * arch), sitter.scale) * fill(ends + 0.03, sitter.scale)
        skin.paint(color(mouth.color) * 0.3, line, at=at)
    if expression.mouth_open > 0.0:
        _open_mouth(skin, sitter, at, np.minimum(np.minimum(-low, -high), ends), (high, gap))


def _open_mouth(skin: Canvas, sitter: Sitter, at: Window, inside: Plane, teeth: tuple[Plane, Plane]) -> None:
    """The dark of an open mouth with tongue and teeth.

    Args:
        skin: to paint on.
        sitter: whose mouth.
        at: the mouth's window.
        inside: distance to the inner edge of the lips.
        teeth: distance upwards from the upper lip's edge, and the mouth's opening, both in units.
    """
    up, gap = teeth
    opening = sitter.conditions.expression.mouth_open
    cover = fill(inside, sitter.scale)
    skin.paint(color((0.26, 0.07, 0.08)), cover, "mouth" if opening > 0.15 else None, at)
    tongue = soft(-up - 0.62 * gap, 0.04) * soft(gap - 0.2 * opening, 0.05)
    skin.paint(color((0.78, 0.36, 0.38)), 0.9 * cover * tongue, at=at)
    row = fill(up + 0.4 * gap, sitter.scale)
    skin.paint(color((0.96, 0.94, 0.90)), cover * row * (0.8 + 0.2 * soft(inside - 0.02, 0.03)), at=at)


def _beard(skin: Canvas, sitter: Sitter) -> None:
    beard = sitter.person.beard
    if beard is None:
        return
    mouth, nose = sitter.person.mouth, sitter.person.nose
    x, y = sitter.head.x, sitter.head.y
    side = np.abs(x)
    above_lip = 0.5 * (nose.tip + 0.12 + mouth.y)
    q = side * (1 / (1.2 * mouth.half_width))
    thick = (min(0.11, 0.5 * (mouth.y - nose.tip - 0.1))) * clamp(1 - q * q) ** 0.7
    moustache = thick - np.abs(y - above_lip - 0.2 * q * q - 0.03 * bump(side, 0 * y, 0.05, 1.0))
    moustache = np.minimum(moustache, mouth.half_width * (1.2 - 1.2 * q))
    if beard.style == "moustache":
        inside = moustache
    elif beard.style == "goatee":
        chin = np.minimum(0.9 * mouth.half_width - side, y - (mouth.y + mouth.lower + 0.1))
        ring = np.minimum(
            1.15 * mouth.half_width - side,
            np.minimum(side - 0.85 * mouth.half_width, y - above_lip),
        )
        inside = np.maximum(np.maximum(chin, ring), moustache)
    else:
        line = (mouth.y + 0.12) - 0.85 * clamp(side - 0.35) ** 1.3
        inside = np.maximum(y - line, moustache)
    cover = beard.cover * soft(inside, 0.045)
    skin.paint(color(beard.color), cover, "beard" if beard.cover > 0.5 else None)


def _shine(skin: Canvas, sitter: Sitter) -> None:
    """A soft gloss on the tip of the nose and the forehead, toward the lamp."""
    nose, lamp = sitter.person.nose, sitter.conditions.light
    at = sitter.at(0.0, nose.tip, 0.3, nose.out)
    x, y = sitter.nose_chart(at)
    tone = color((1.0, 0.97, 0.93)) * color(lamp.color)
    place = x - (0.06 * lamp.direction[0]), y - (nose.tip - 0.05)
    skin.paint(tone, (0.5 * lamp.strength) * bump(*place, 0.055, 0.045), at=at)
