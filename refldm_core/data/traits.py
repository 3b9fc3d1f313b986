"""The traits of drawn people: what stays with a person from picture to picture.

Convention: places and lengths are in the chart of the head, whose origin lies between the eyes, x to the right as seen,
y down; one unit is about half the width of a face, 24 pixels of a 96 pixel portrait. Colors are RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RGB = tuple[float, float, float]

GlassesShape = Literal["round", "square", "wide", "cat"]
BeardStyle = Literal["full", "goatee", "moustache", "stubble"]


@dataclass(frozen=True)
class HeadShape:
    """A stack of ellipses: `width` and `depth` are the half axes at the eyes, shrinking to 0 at -`top` and at `chin`.

    At height y below the eyes both shrink by (1 - (y / chin)^jaw)^(1 / cheek): a great `jaw` makes a square face, a
    small `cheek` a pointed one.
    """

    width: float
    depth: float
    top: float
    chin: float
    jaw: float
    cheek: float


@dataclass(frozen=True)
class Eyes:
    """Half distance, half width, heights of both lids; `slant` in radians lifts the outer corners; lids' lashes."""

    x: float
    half_width: float
    upper: float
    lower: float
    slant: float
    skew: float
    iris: float
    color: RGB
    lashes: float
    shadow: RGB | None


@dataclass(frozen=True)
class Brows:
    """Height above the eyes, half length, thickness, arch and slope (upwards to the outside), color."""

    y: float
    half_width: float
    thickness: float
    arch: float
    slope: float
    color: RGB


@dataclass(frozen=True)
class Nose:
    """Height of the tip, half width of the wings, width of the bridge, how far the tip stands out."""

    tip: float
    half_width: float
    bridge: float
    out: float


@dataclass(frozen=True)
class Mouth:
    """Height, half width, thickness of both lips, depth of the bow in the upper lip, color."""

    y: float
    half_width: float
    upper: float
    lower: float
    bow: float
    color: RGB


@dataclass(frozen=True)
class Hair:
    """A shell around the head, left open over the face.

    Attributes:
        sides, above: how much wider and higher than the head the shell is.
        length: where it ends; below 1 short, above 2 over the shoulders.
        line: height of the hairline over the forehead (of the fringe's lower edge).
        line_curve, line_tilt: how the line bends down to both sides, and slants (a side parting).
        side: height to which the hair reaches down beside the face.
        opening: azimuth in radians at which the sides begin.
        fringe: depth of the fringe's waves.
        curl: height of the curls along the outline.
        waves: number of curls around the head; also of strands.
        bun: radius of a bun on top, 0 for none.
    """

    color: RGB
    sides: float
    above: float
    length: float
    line: float
    line_curve: float
    line_tilt: float
    side: float
    opening: float
    fringe: float
    curl: float
    waves: int
    bun: float


@dataclass(frozen=True)
class Beard:
    """A style, how thickly it covers the skin (0..1) and its color."""

    style: BeardStyle
    cover: float
    color: RGB


@dataclass(frozen=True)
class Spot:
    """A round mark on the skin: a mole or a freckle."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scar:
    """A straight scar from one end to the other."""

    x0: float
    y0: float
    x1: float
    y1: float
    width: float


@dataclass(frozen=True)
class Glasses:
    """Two rims around the eyes, a bridge and temples."""

    shape: GlassesShape
    half_width: float
    half_height: float
    line: float
    color: RGB


@dataclass(frozen=True)
class SyntheticPerson:
    """Somebody who does not exist: all traits that are the same in every picture of them."""

    seed: int
    head: HeadShape
    skin: RGB
    blush: float
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    hair: Hair | None
    beard: Beard | None
    moles: tuple[Spot, ...]
    freckles: tuple[Spot, ...]
    scar: Scar | None
    glasses: Glasses | None
    earrings: RGB | None


STANDARD_GLASSES = Glasses("round", 0.4, 0.35, 0.075, (0.1, 0.1, 0.12))
"""Where glasses would be on a face without."""
