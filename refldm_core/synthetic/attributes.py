"""What of a person's likeness a picture shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import RGB
from .render import Rendering
from .traits import BeardStyle, HairStyle, Person

_MOSTLY = 0.5
"""Share of a mole, as a disk that faces the camera, that must be seen for it to count as seen."""


@dataclass(frozen=True, eq=False)
class PortraitAttributes:
    """What is seen of what tells a person from others. Left and right are as seen; colors are sRGB in [0, 1].

    Attributes:
        iris_color: of the person's irises in neutral light.
        left_iris, right_iris: (height, width) bool, visible iris without pupil and reflections.
        moles: (n, 3) float64 x, y, radius in pixels of the visible moles.
        glasses: whether the person wears any.
        frame: (height, width) bool, the visible frame of the glasses.
        beard: its style, None where there is none.
        hair, hair_color, gray: style, color, and share of gray strands.
    """

    iris_color: RGB
    left_iris: NDArray[np.bool_]
    right_iris: NDArray[np.bool_]
    moles: NDArray[np.float64]
    glasses: bool
    frame: NDArray[np.bool_]
    beard: BeardStyle | None
    hair: HairStyle
    hair_color: RGB
    gray: float


def portrait_attributes(person: Person, rendering: Rendering) -> PortraitAttributes:
    """The attributes of a rendered person."""
    covers, moles = rendering.covers, rendering.moles
    nothing = np.zeros(rendering.alpha.shape, dtype=np.bool_)
    return PortraitAttributes(
        iris_color=person.eyes.color,
        left_iris=covers["left_iris"] > 0.5,
        right_iris=covers["right_iris"] > 0.5,
        moles=moles[moles[:, 3] > _MOSTLY, :3],
        glasses=person.glasses is not None,
        frame=covers["glasses"] > 0.5 if "glasses" in covers else nothing,
        beard=None if person.beard is None else person.beard.style,
        hair=person.hair.style,
        hair_color=person.hair.color,
        gray=person.hair.gray,
    )
