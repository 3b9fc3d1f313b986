"""What stays the same in all pictures of a synthetic person. Lengths are in decimeters; colors are sRGB in [0, 1].

Positions on the skin are (x, y) on the average head (`asset.Head.skin`) from the front: x to the right as seen, y up.
The eyes are at (+-0.31, 7.28), the middle of the mouth is at (0, 6.63), and the chin is at y = 6.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .arrays import RGB

Gender = Literal["female", "male"]
HairStyle = Literal[
    "bald", "buzz", "crop", "parted", "swept", "curly", "afro", "tied", "bob", "shoulder", "long", "waves"
]
BeardStyle = Literal["stubble", "short", "full", "goatee", "moustache"]


@dataclass(frozen=True)
class Mole:
    """A dark round spot of the skin. Its darkness is in [0, 1]."""

    x: float
    y: float
    radius: float
    darkness: float


@dataclass(frozen=True)
class Crease:
    """A line of the skin: a wrinkle, or a scar if `lightness` is not 0.

    Attributes:
        start, end: ends of the line.
        sag: distance of its middle from the straight line, to the left on the way from start to end.
        width: half its width.
        depth: how strongly it tilts the skin; about 1 for a deep wrinkle.
        lightness: how much lighter than the surrounding skin it is.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    sag: float
    width: float
    depth: float
    lightness: float = 0.0


@dataclass(frozen=True)
class Skin:
    """The skin.

    Attributes:
        color: color of a cheek without blush.
        melanin: 0 (very light) to 1 (very dark); it determined `color`.
        redness: redness of nose, cheeks and ears, 0 to 1.
        freckles: 0 (none) to 1 (many).
        moles: dark spots.
        creases: wrinkles and scars.
        roughness: roughness of the gloss, 0.5 (oily) to 0.62 (dry).
    """

    color: RGB
    melanin: float
    redness: float
    freckles: float
    moles: tuple[Mole, ...]
    creases: tuple[Crease, ...]
    roughness: float


@dataclass(frozen=True)
class Eyes:
    """The irises.

    Attributes:
        color: color of the outer part.
        inner_color: color of the ring around the pupil.
        iris: angle from the gaze to the iris's edge at the eyeball's center, in radians.
    """

    color: RGB
    inner_color: RGB
    iris: float


@dataclass(frozen=True)
class Brows:
    """The eyebrows.

    Attributes:
        color: color of the hairs.
        thickness: half the greatest thickness.
        height: height above the average.
        arch: height of the arch.
        density: density of the hairs, at most 1.
    """

    color: RGB
    thickness: float
    height: float
    arch: float
    density: float


@dataclass(frozen=True)
class Lips:
    """Color of the lips, how much it covers the color of the skin (0 to 1), and gloss (0 to 1)."""

    color: RGB
    cover: float
    gloss: float


@dataclass(frozen=True)
class Makeup:
    """Eyeshadow: color and strength (0 to 1). The strength also makes lashes longer and denser."""

    color: RGB
    strength: float


@dataclass(frozen=True)
class Hair:
    """Hair of the head.

    Attributes:
        style: style of the cut.
        color: color of hairs that are not gray.
        gray: share of strands that are gray.
        length: factor of the style's usual length.
        curl: radius of the strands' curls.
        part: x of the parting on the average head.
        sideburns: whether hair grows before the ears.
        fringe: whether hair falls over the forehead.
        recession: how far the hairline has moved back; 0 is none.
        volume: factor of the usual height above the scalp.
    """

    style: HairStyle
    color: RGB
    gray: float
    length: float
    curl: float
    part: float
    sideburns: bool
    fringe: bool
    recession: float
    volume: float


@dataclass(frozen=True)
class Beard:
    """Hair of the face: style, color, and share of gray strands."""

    style: BeardStyle
    color: RGB
    gray: float


@dataclass(frozen=True)
class Glasses:
    """Glasses.

    Attributes:
        half_width, half_height: half the size of a lens.
        roundness: roundness of its corners, 0 to 1.
        rim: radius of the rim.
        color: color of the frame.
        metal: whether the frame is of metal.
    """

    half_width: float
    half_height: float
    roundness: float
    rim: float
    color: RGB
    metal: bool


@dataclass(frozen=True)
class Person:
    """A synthetic person. People with equal traits look alike under equal conditions.

    Attributes:
        seed: seed for everything below, and for details such as the positions of single hairs.
        gender: gender of the head's shape and of the styles.
        age: years.
        ancestry: shares of African, Asian and Caucasian ancestry in the head's shape; their sum is 1.
        shape: names of the asset's targets and their weights.
    """

    seed: int
    gender: Gender
    age: float
    ancestry: tuple[float, float, float]
    shape: tuple[tuple[str, float], ...]
    skin: Skin
    eyes: Eyes
    brows: Brows
    lips: Lips
    makeup: Makeup | None
    hair: Hair
    beard: Beard | None
    glasses: Glasses | None
