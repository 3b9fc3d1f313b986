"""The damaged pictures that the benchmark of settings restores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from refldm_core.data.corpus import Picture
from refldm_core.data.degradation import RANGES, DegradationRanges, degrade, draw
from refldm_core.pipeline import Restorer, SamplingSettings

from ..likeness.cases import Case
from ..likeness.protocol import to_batch, to_pictures

Damage = Literal["severe", "moderate", "light", "invented"]

LIGHT = DegradationRanges((1.0, 4.0), (1.0, 2.0), (0.0, 3.0), (85, 100))
"""Slightly blurred faces, as upscalers and generators leave them."""

DESCRIPTIONS: dict[Damage, str] = {
    "severe": "severe degradation",
    "moderate": "moderate degradation",
    "light": "light degradation (sigma of the blur 1 to 4 of 512 pixels)",
    "invented": "faces that were restored from severe degradation without references, so that they are sharp and only "
    "nearly the person's",
}
_INVENTING = SamplingSettings(steps=10, sampler="dpmpp_2m")
_OTHER_SEED = 1_000_000
"""Added to the seed of invented faces, whose noise would else be that of the restoration."""


def damaged(cases: Sequence[Case], damage: Damage, restorer: Restorer) -> list[Picture]:
    """Return the picture to restore of each person: (size, size, 3) uint8.

    Args:
        cases: the people.
        damage: the kind of damage.
        restorer: the model that invents faces.
    """
    if damage == "severe":
        return [case.lq for case in cases]
    if damage == "invented":
        seeds = [case.person + _OTHER_SEED for case in cases]
        return to_pictures(restorer.restore(to_batch([case.lq for case in cases]), None, seeds, _INVENTING))
    ranges = LIGHT if damage == "light" else RANGES[damage]
    return [degrade(case.truth.picture, draw(ranges, case.person)) for case in cases]
