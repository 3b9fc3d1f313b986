"""The error of a command that runs out of memory: the work that needed it, and ways to need less."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..out_of_memory import explain, is_out_of_memory

CLOSE_PROGRAMS = "close other programs"
ON_THE_CPU = "--device cpu, which is slow"


@dataclass(frozen=True)
class Stage:
    """A part of a command's work, for the error when there is not enough memory for it.

    Attributes:
        work: The work as an infinitive without "to", as in "The memory was not enough to load the model."
        remedies: Changes that need less memory, the best first.
        expected: The amount of memory that the work takes, where it was measured.
    """

    work: str
    remedies: Sequence[str] = (CLOSE_PROGRAMS,)
    expected: str = "more free memory"


@contextmanager
def explained_memory_errors(stage: Stage) -> Generator[None, None, None]:
    """Replace a library's error about too little memory by an error that names the remedies of this stage.

    All other errors pass unchanged, also that of an illegal memory access on a GPU.

    Raises:
        NotEnoughMemoryError: A library ran out of memory.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise explain(error, stage.work, stage.expected, ", or ".join(stage.remedies)) from error
