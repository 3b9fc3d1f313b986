"""Cases, what a reader does with them, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

ACCEPTED, REFUSED = "accepted", "refused"
TRACEBACK, HANG, MEMORY, CRASH, WRONG = "traceback", "hang", "memory", "crash", "silent wrong result"
FINDINGS = (CRASH, HANG, MEMORY, TRACEBACK, WRONG)
"""The verdicts that no case may have."""

SECONDS_LIMIT = 20.0
BYTES_LIMIT = 500_000_000
"""Memory that a reader may take in addition to the size of its input."""


class WrongResultError(Exception):
    """A reader accepted an input, and its result is wrong."""


class BrokenCaseError(Exception):
    """The fuzz command itself failed to make an input."""


def require(condition: object, text: str) -> None:
    """Raise WrongResultError unless a condition holds."""
    if not condition:
        raise WrongResultError(text)


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        reader: Name of the reader.
        number: Number of the case among those of the reader.
        seed: Seed of the run.
        folder: Empty folder for the input.
        seeds: Folder of `seed_files`. Readers must not change it.
    """

    reader: str
    number: int
    seed: int
    folder: Path
    seeds: Path

    @property
    def random(self) -> Random:
        """A new generator of random numbers that depend only on seed, reader and number."""
        return Random(f"{self.seed}/{self.reader}/{self.number}")


Action = Callable[[], Any]
"""Reads the input of a case and checks the result.

Raises:
    ReFLDMError: The input is refused.
    WrongResultError: The result is wrong.
"""


@dataclass(frozen=True)
class Reader:
    """A reader of files from strangers.

    Attributes:
        name: Name of the reader.
        prepare: Writes the input of a case, and returns the action to judge.
        share: How often the reader's turn comes, relative to other readers.
        read: Reads a file and checks the result, for the corpus of mended findings. None where the input is no file.
    """

    name: str
    prepare: Callable[[Case], Action]
    share: int = 10
    read: Callable[[Path], Any] | None = None


class Verdict(NamedTuple):
    """What became of a case.

    Attributes:
        kind: ACCEPTED, REFUSED, or one of FINDINGS.
        detail: Text of the error or of the traceback.
        seconds: Duration of the action.
        growth: Bytes of memory that the action took at most.
        input_bytes: Size of the input.
    """

    kind: str
    detail: str = ""
    seconds: float = 0.0
    growth: int = 0
    input_bytes: int = 0
