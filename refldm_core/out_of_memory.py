"""Recognize out-of-memory errors of every library that this package uses, and compute a batch in smaller parts."""

from __future__ import annotations

import errno
import gc
import logging
import re
from collections.abc import Callable
from typing import TypeVar

from .errors import NotEnoughMemoryError, ReFLDMError

Result = TypeVar("Result")

PREDICTION = "make {} predictions of a sampling step"
"""Work of the U-Net, for `Parts`. With guidance there are two predictions for each face."""

_WINDOWS_CODES = (8, 14, 1455)
"""ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, and ERROR_COMMITMENT_LIMIT (the paging file is too small)."""

_MESSAGES = re.compile(
    r"""
    \bout\ of\ memory\b                                                       # CUDA, HIP, XPU, MPS
    | DefaultCPUAllocator:\ not\ enough\ memory                               # torch on the CPU
    | (cannot|can't|could\ not|failed\ to)\ allocate\ (memory|tensor|\d)      # torch, Linux, DirectML, ONNX, OpenCV
    | _STATUS_(INTERNAL_ERROR_(HOST|DEVICE)_)?ALLOC(ATION)?_FAILED            # cuBLAS, hipBLAS, cuDNN 8 and 9
    | Invalid\ buffer\ size:                                                  # MPS, above the largest buffer of Metal
    | \bbad[ _]alloc(ation)?\b                                                # C++
    | paging\ file\ is\ too\ small | WinError\ 1455\b | \(os\ error\ 1455\) | error\ code:\ <1455>  # Windows
    """,
    re.VERBOSE | re.IGNORECASE,
)

_QUOTE_LENGTH = 160
"""Characters that are quoted of a library's message. The rest is advice for programmers."""

_log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of its GPU was not enough.

    Most libraries have no class for this error, so this function compares their messages. It is False for an illegal
    memory access, a full disk and too little shared memory.
    """
    if isinstance(error, ReFLDMError):  # its message is clear already, and may have a file's name with any words
        return False
    # torch's class is compared by name, since importing torch takes seconds and memory.
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM or getattr(error, "winerror", None) in _WINDOWS_CODES
    return isinstance(error, Exception) and _MESSAGES.search(str(error)) is not None


def explain(error: BaseException, work: str, expected: str, remedy: str) -> NotEnoughMemoryError:
    """Return the error for people, in place of a library's out-of-memory error.

    Args:
        error: The library's error. Its first line is quoted.
        work: The work as an infinitive without "to", as in "The memory was not enough to load the model."
        expected, remedy: See `ReFLDMError`.
    """
    return NotEnoughMemoryError(
        f"The memory was not enough to {work} ({_first_line(error)}).", expected=expected, remedy=remedy
    )


class Parts:
    """Computes batches in parts, and makes the parts smaller where the memory is not enough.

    After an out-of-memory error the parts are half as large. Earlier parts are kept. Once the work succeeds, one
    warning in the log says what was done. The size stays for later batches of the same object, so that not every
    sampling step fails first.

    Args:
        work: The work, with "{}" for the number of items, as in "decode {} pictures".
        size: Items that are computed at once. None for all of them.
    """

    def __init__(self, work: str, size: int | None = None) -> None:
        self._work = work
        self._size = size

    def run(self, compute: Callable[[slice], Result], count: int) -> list[Result]:
        """Return `compute` of each part of a batch, in order. An empty batch is one part.

        Args:
            compute: Function of the part's place in the batch. No item's result depends on another item.
            count: Number of items in the batch.

        Raises:
            Exception: The out-of-memory error of the library, if the memory is not enough for a single item.
        """
        results: list[Result] = []
        start = failed = 0
        reason = ""
        while start < count or not results:
            size = min(self._size or count, count - start)
            try:
                results.append(compute(slice(start, start + size)))
            except Exception as error:
                if size <= 1 or not is_out_of_memory(error):
                    raise
                failed, reason = failed or size, _first_line(error)
            else:
                start += size
                if failed:
                    _warn(self._work, failed, size, reason)
                    failed = 0
                continue
            # The error is gone here. Until then, its traceback keeps the tensors of the failed work.
            self._size = (size + 1) // 2
            empty_caches()
        return results


def empty_caches() -> None:
    """Return the memory that torch keeps in reserve to the GPU, also that of objects in reference cycles."""
    import torch  # noqa: PLC0415  # takes seconds, and callers of this function have imported it already

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.xpu.is_available():
        torch.xpu.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _warn(work: str, failed: int, size: int, reason: str) -> None:
    _log.warning(
        "ReF-LDM: The memory was not enough to %s at once (%s). The work went on with %d at a time.",
        work.format(failed),
        reason,
        size,
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_QUOTE_LENGTH]
