"""How the styles of hair grow."""

from __future__ import annotations

from dataclasses import dataclass

from .traits import HairStyle


@dataclass(frozen=True)
class Cut:
    """How a style grows.

    Attributes:
        length: decimeters on top.
        sides: factor of the length low at the sides and the back.
        lift: how strongly hair stands up from the scalp at its root.
        gravity: how strongly hair falls.
        comb: how far along a strand its combed direction lasts.
        clump: how strongly strands are drawn toward the tip of their guide.
        offset: decimeters from the scalp at which lower hair holds the uppermost hair.
        nodes: number of points of a strand.
        frizz: deviation in decimeters of the random step between neighboring points.
    """

    length: float
    sides: float = 1.0
    lift: float = 0.25
    gravity: float = 1.0
    comb: float = 0.5
    clump: float = 0.5
    offset: float = 0.08
    nodes: int = 14
    frizz: float = 0.0


CUTS: dict[HairStyle, Cut] = {
    "buzz": Cut(0.055, lift=1.5, gravity=0.0, clump=0.1, offset=0.02, nodes=4),
    "crop": Cut(0.34, sides=0.38, lift=0.8, gravity=0.15, comb=1.0, clump=0.35, offset=0.07, nodes=8),
    "parted": Cut(0.42, sides=0.2, lift=0.4, gravity=0.8, comb=0.5, clump=0.45, offset=0.05, nodes=10),
    "swept": Cut(0.66, sides=0.30, lift=0.42, gravity=0.2, comb=1.0, clump=0.5, offset=0.09, nodes=12),
    "curly": Cut(0.66, sides=0.75, lift=1.1, gravity=0.15, comb=0.25, clump=0.5, offset=0.26, frizz=0.012),
    "afro": Cut(0.48, sides=0.75, lift=1.6, gravity=0.0, comb=0.0, clump=0.3, offset=0.4, nodes=12, frizz=0.035),
    "tied": Cut(1.0, lift=0.08, gravity=0.0, comb=1.0, clump=0.35, offset=0.045),
    "bob": Cut(1.5, sides=0.72, offset=0.075, nodes=16),
    "shoulder": Cut(2.1, sides=0.8, offset=0.07, nodes=18),
    "long": Cut(3.1, sides=0.85, offset=0.065, nodes=22),
    "waves": Cut(2.5, sides=0.8, lift=0.4, offset=0.10, nodes=24),
}

PARTED = ("parted", "bob", "shoulder", "long", "waves")
"""Styles that fall to both sides of a parting."""
FALLING = ("bob", "shoulder", "long", "waves", "curly")
"""Styles whose hair must not hang before the face, except for a fringe."""
