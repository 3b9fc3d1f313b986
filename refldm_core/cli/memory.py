"""What a command says when memory runs out: at what work, and what would need less."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import NotEnoughMemoryError
from ..out_of_memory import is_out_of_memory

CLOSE_PROGRAMS = "close other programs"
ON_THE_CPU = "--device cpu, which is slow"

_QUOTED = 160
"""Characters of a library's own message, which goes on with advice for programmers."""


@dataclass(frozen=True)
class Stage:
    """A part of a command's work, for the message when the memory is not enough for it.

    Attributes:
        work: what was done, as in "The memory was not enough to load the model."
        remedies: what needs less memory, the best first.
        expected: how much memory this takes, where that was measured.
    """

    work: str
    remedies: Sequence[str] = (CLOSE_PROGRAMS,)
    expected: str = "more free memory"


@contextmanager
def explained_memory_errors(stage: Stage) -> Generator[None, None, None]:
    """Turn a library's error of too little memory into one that says what helps at this stage.

    Raises:
        NotEnoughMemoryError: in its place. All other errors pass, an illegal memory access of a GPU among them.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        message = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotEnoughMemoryError(
            f"The memory was not enough to {stage.work} ({message[:_QUOTED]}).",
            expected=stage.expected,
            remedy=", or ".join(stage.remedies),
        ) from error
