"""Types of numbers for options."""

from __future__ import annotations

import argparse
import math


def finite_number(text: str) -> float:
    """Return a number that is neither NaN nor infinite, for argparse.

    Raises:
        argparse.ArgumentTypeError: The text is no such number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number, such as 0.5")
    return value
