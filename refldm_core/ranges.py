"""The range of each number of a spec: declared with its field, checked wherever the number comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from .errors import OutOfRangeError, shortened

Number = TypeVar("Number", int, float)

_KEY = "refldm.range"
_LONGEST_TEXT = 40  # characters of a number


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included.

    Attributes:
        low, high: the ends.
        whole: whether only whole numbers belong to it.
    """

    low: float
    high: float
    whole: bool

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:g}"
        return f"a {'whole' if self.whole else 'finite'} number from {self.low:.10g} to {self.high:.10g}"

    def number(self, name: str, value: object) -> int | float:
        """A value from a file as a number of this range; decimal fractions may be text, as YAML reads 1e-4.

        Args:
            name: of the value, for the message.
            value: what the file says.

        Raises:
            OutOfRangeError: no number, not finite, not whole where it must be, or outside the range.
        """
        number = _plain_number(value)
        if number is None or not self.low <= number <= self.high or (self.whole and number != int(number)):
            raise OutOfRangeError(name, shortened(value), str(self))
        return int(number) if self.whole else float(number)


def bounded(default: Number, low: Number, high: Number) -> Number:
    """A dataclass field with a default and a range, which `check_ranges` checks; both ends are included."""
    return cast(Any, field(default=default, metadata={_KEY: Range(low, high, isinstance(default, int))}))


def ranges_of(kind: type[Any]) -> Mapping[str, Range]:
    """The ranges of a dataclass's fields, by name; fields without one are left out."""
    return {item.name: item.metadata[_KEY] for item in fields(kind) if _KEY in item.metadata}


def check_ranges(spec: Any) -> None:
    """Check every field of a dataclass that has a range; for its `__post_init__`.

    Raises:
        OutOfRangeError: naming the first field whose value is outside its range.
    """
    for name, allowed in ranges_of(cast("type[Any]", type(spec))).items():
        value: object = getattr(spec, name)
        if not isinstance(value, int if allowed.whole else int | float):
            raise OutOfRangeError(name, shortened(value), str(allowed))
        allowed.number(name, value)


def check_sequence(name: str, values: tuple[int, ...], allowed: Range, longest: int) -> None:
    """Check a tuple of numbers; for `__post_init__`.

    Raises:
        OutOfRangeError: an empty or longer one, or one with a number outside the range.
    """
    if not 1 <= len(values) <= longest:
        raise OutOfRangeError(name, f"{len(values)} numbers", f"1 to {longest} numbers")
    for value in values:
        allowed.number(name, value)


def _plain_number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        try:
            value = float(value)
        except ValueError:
            return None
    return value if isinstance(value, float) and math.isfinite(value) else None
