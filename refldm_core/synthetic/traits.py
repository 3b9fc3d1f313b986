"""What stays the same in all pictures of a synthetic person. Lengths are decimeters, colors sRGB in [0, 1].

Places on the skin are (x, y) of the average head (`asset.Head.skin`) seen from the front: x to the right as seen,
y up; the eyes are at (+-0.31, 7.28), the mouth's middle at (0, 6.63), the chin at y = 6.2.
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
    """A dark round spot of the skin; darkness in [0, 1]."""

    x: float
    y: float
    radius: float
    darkness: float


@dataclass(frozen=True)
class Crease:
    """A line of the skin: a wrinkle, or a scar where `lightness` is not 0.

    Attributes:
        start, end: its ends.
        sag: how far its middle lies from the straight line, to the left of the way from start to end.
        width: half its width.
        depth: how much it tilts the skin, about 1 for a deep wrinkle.
        lightness: how much lighter it is than the skin around it.
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
        color: of a cheek without blush.
        melanin: 0 (very light) to 1 (very dark); what `color` was chosen by.
        redness: 0 to 1, of nose, cheeks and ears.
        freckles: 0 (none) to 1 (many).
        moles: dark spots.
        creases: wrinkles and scars.
        roughness: of the gloss, 0.5 (oily) to 0.65 (dry).
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
    """Irises: color of the outer part and of the ring around the pupil, and the radius as a fraction of the eyeball."""

    color: RGB
    inner_color: RGB
    iris: float


@dataclass(frozen=True)
class Brows:
    """Eyebrows: thickness at the thickest, height above the average, arch, and how dense the hairs are (1 is usual)."""

    color: RGB
    thickness: float
    height: float
    arch: float
    density: float


@dataclass(frozen=True)
class Lips:
    """Color of the lips, how much it covers the skin's (0 to 1), and gloss (0 to 1)."""

    color: RGB
    cover: float
    gloss: float


@dataclass(frozen=True)
class Makeup:
    """Shadow on the eyelids: color and strength (0 to 1); strength also darkens the lashes."""

    color: RGB
    strength: float


@dataclass(frozen=True)
class Hair:
    """Hair of the head.

    Attributes:
        style: its cut.
        color: of most strands.
        gray: share of strands that are gray.
        length: factor of the style's usual length.
        curl: radius of the strands' curls.
        part: x of the parting.
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
    """Hair of the face."""

    style: BeardStyle
    color: RGB
    gray: float


@dataclass(frozen=True)
class Glasses:
    """Glasses: half width and half height of a lens, roundness of its corners (0 to 1), radius and color of the rim."""

    half_width: float
    half_height: float
    roundness: float
    rim: float
    color: RGB
    metal: bool


@dataclass(frozen=True)
class Person:
    """Somebody. Two people with the same traits look the same under the same conditions.

    Attributes:
        seed: of everything below, and of the places of single hairs.
        gender: of the head's shape.
        age: years.
        ancestry: shares of African, Asian and Caucasian in the head's shape; sum 1.
        shape: targets of the asset and their weights.
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
