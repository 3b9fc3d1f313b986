"""Ranges of the numbers in a spec. A field declares its range, and every source of its value is checked against it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from .errors import OutOfRangeError, shorten

Number = TypeVar("Number", int, float)

_KEY = "refldm.range"
_MAX_TEXT = 40  # characters of a number that is written as text


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included.

    Attributes:
        low, high: The bounds.
        whole: Whether the range has only whole numbers.
    """

    low: float
    high: float
    whole: bool

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:g}"
        return f"a {'whole' if self.whole else 'finite'} number from {self.low:.10g} to {self.high:.10g}"

    def number(self, name: str, value: object) -> int | float:
        """Return a value from a file as a number of this range. Text is accepted, since YAML reads 1e-4 as text.

        Args:
            name: Name of the value, for the message.
            value: The value in the file.

        Raises:
            OutOfRangeError: The value is no number, not finite, not whole where it must be, or outside the range.
        """
        number = _to_finite_number(value)
        if number is None or not self.low <= number <= self.high or (self.whole and number != int(number)):
            raise OutOfRangeError(name, shorten(value), str(self))
        return int(number) if self.whole else float(number)


def ranged_field(default: Number, low: Number, high: Number) -> Number:
    """Return a dataclass field with a default and a range (bounds included), which `check_ranges` checks."""
    return cast(Any, field(default=default, metadata={_KEY: Range(low, high, isinstance(default, int))}))


def ranges_of(kind: type[Any]) -> Mapping[str, Range]:
    """Return the ranges of a dataclass's fields by name. Fields without a range are left out."""
    return {item.name: item.metadata[_KEY] for item in fields(kind) if _KEY in item.metadata}


def check_ranges(spec: Any) -> None:
    """Check every field of a dataclass that has a range. Call it in `__post_init__`.

    Raises:
        OutOfRangeError: A value is outside its range. The message names the first such field.
    """
    for name, allowed in ranges_of(cast("type[Any]", type(spec))).items():
        value: object = getattr(spec, name)
        if not isinstance(value, int if allowed.whole else int | float):
            raise OutOfRangeError(name, shorten(value), str(allowed))
        allowed.number(name, value)


def check_sequence(name: str, values: tuple[int, ...], allowed: Range, longest: int) -> None:
    """Check a tuple of numbers. Call it in `__post_init__`.

    Args:
        name: Name of the field, for the message.
        values: The numbers.
        allowed: Range of each number.
        longest: Largest length of the tuple.

    Raises:
        OutOfRangeError: The tuple is empty or too long, or a number is outside the range.
    """
    if not 1 <= len(values) <= longest:
        raise OutOfRangeError(name, f"{len(values)} numbers", f"1 to {longest} numbers")
    for value in values:
        allowed.number(name, value)


def _to_finite_number(value: object) -> float | None:
    """Return a number, or text that is one, as a finite number. Return None for any other value."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) <= _MAX_TEXT:
        try:
            value = float(value)
        except ValueError:
            return None
    return value if isinstance(value, float) and math.isfinite(value) else None
