"""Recognize out-of-memory errors of every library that this package uses."""

from __future__ import annotations

import errno
import re

from .errors import ReFLDMError

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
