"""Which of a person's distinguishing features a picture shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrays import RGB
from .render import Rendering
from .traits import BeardStyle, HairStyle, Person

_LEAST_SHARE = 0.5
"""A mole counts as visible where more than this share of its disk is seen."""


@dataclass(frozen=True, eq=False)
class PortraitAttributes:
    """The features that tell a person from others. Left and right are as seen; colors are sRGB in [0, 1].

    Attributes:
        iris_color: color of the person's irises in neutral light.
        left_iris, right_iris: (height, width) bool, the visible iris without its pupil and reflections.
        moles: (n, 3) float64, x, y and radius in pixels of each visible mole.
        glasses: whether the person wears glasses.
        frame: (height, width) bool, the visible frame of the glasses.
        beard: style of the beard; None without one.
        hair, hair_color, gray: style and color of the hair, and its share of gray strands.
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
    """Return the attributes of a rendered person."""
    covers, moles = rendering.covers, rendering.moles
    empty = np.zeros(rendering.alpha.shape, dtype=np.bool_)
    return PortraitAttributes(
        iris_color=person.eyes.color,
        left_iris=covers["left_iris"] > 0.5,
        right_iris=covers["right_iris"] > 0.5,
        moles=moles[moles[:, 3] > _LEAST_SHARE, :3],
        glasses=person.glasses is not None,
        frame=covers["glasses"] > 0.5 if "glasses" in covers else empty,
        beard=None if person.beard is None else person.beard.style,
        hair=person.hair.style,
        hair_color=person.hair.color,
        gray=person.hair.gray,
    )
