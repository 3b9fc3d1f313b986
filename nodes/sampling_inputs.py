"""Inputs that several sampling nodes share."""
# pyright: reportMissingImports=false

from __future__ import annotations

from typing import get_args

from comfy_api.latest import io

from ..refldm_core.diffusion.settings import ReferenceTokens
from ..refldm_core.ranges import ranges_of
from ..refldm_core.temporal import TemporalSettings
from .types import ADVANCED

_SPACINGS = ["trailing", "uniform"]
_MOST_AVERAGING = 20.0
"""Largest standard deviation of the averages of landmarks, in frames."""
_REFERENCE_STRENGTH = (
    "Set how much the references count. Its logarithm is added to the attention logits of the references, so 2 has the "
    "effect of giving every reference twice. 1 is the published value. 0 restores without references."
)
_REFERENCE_TOKENS = (
    "Choose half for faster steps with many references. It leaves out every other token of the references where they "
    "cost most, and the picture changes a little. all is the published choice."
)


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps",
        default=50,
        min=1,
        max=1000,
        tooltip="Set the number of steps. 50 is the published value. A number that does not divide 1000 gives a few "
        "more steps, as in the published code.",
    )


def spacing_input() -> io.Combo.Input:
    return io.Combo.Input(
        "scheduler",
        options=_SPACINGS,
        default=_SPACINGS[0],
        tooltip="Choose the spacing of the noise levels. trailing is the spacing of the published code. uniform is the "
        "spacing of the paper, for 10, 20, 25, 50 or 100 steps.",
        **ADVANCED,
    )


def percent_input(
    name: str, default: float, tooltip: str, *, low: float = 0.0, step: float = 0.001, display_name: str | None = None
) -> io.Float.Input:
    return io.Float.Input(
        name, default=default, min=low, max=1.0, step=step, tooltip=tooltip, display_name=display_name
    )


def reference_strength_input() -> io.Float.Input:
    return io.Float.Input(
        "reference_strength",
        default=1.0,
        min=0.0,
        max=10.0,
        step=0.05,
        round=0.001,
        optional=True,
        tooltip=_REFERENCE_STRENGTH,
    )


def steadying_input(default: float, tooltip: str, *, optional: bool = False) -> io.Float.Input:
    """Return the input for `TemporalSettings.steadying`."""
    allowed = ranges_of(TemporalSettings)["steadying"]
    return io.Float.Input(
        "steadying",
        default=default,
        min=allowed.low,
        max=allowed.high,
        step=0.05,
        round=0.01,
        optional=optional,
        tooltip=tooltip,
    )


def averaging_input(default: float, tooltip: str, *, optional: bool = False) -> io.Float.Input:
    """Return the input for the deviation of `average_landmarks`, in frames."""
    return io.Float.Input(
        "averaging",
        default=default,
        min=0.0,
        max=_MOST_AVERAGING,
        step=0.5,
        round=0.01,
        optional=optional,
        tooltip=tooltip,
    )


def reference_tokens_input() -> io.Combo.Input:
    return io.Combo.Input(
        "reference_tokens",
        options=list(get_args(ReferenceTokens)),
        default="all",
        optional=True,
        tooltip=_REFERENCE_TOKENS,
        **ADVANCED,
    )
