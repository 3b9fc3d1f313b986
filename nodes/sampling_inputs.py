"""Inputs that several sampling nodes have."""
# pyright: reportMissingImports=false

from __future__ import annotations

from comfy_api.latest import io

from .types import ADVANCED

_SPACINGS = ["trailing", "uniform"]
_REFERENCE_STRENGTH = (
    "Set how much the references count: log(reference_strength) is added to their attention logits, so that 2 is as "
    "every reference given twice. 1 is published. 0 restores without references."
)


def steps_input() -> io.Int.Input:
    return io.Int.Input(
        "steps",
        default=50,
        min=1,
        max=1000,
        tooltip="50 is published. A number that does not divide 1000 gives a few more, as published.",
    )


def spacing_input() -> io.Combo.Input:
    return io.Combo.Input(
        "scheduler",
        options=_SPACINGS,
        default=_SPACINGS[0],
        tooltip="Which noise levels are visited. trailing is that of the published code, uniform that of the paper "
        "(10, 20, 25, 50 or 100 steps).",
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
