"""Out-of-memory errors of the networks, with a remedy."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import comfy.model_management

from ...refldm_core.out_of_memory import explain, is_out_of_memory

_REMEDIES = (
    "choose bfloat16 or float16 as dtype in Load ReF-LDM Model, connect fewer references, close other programs, or "
    "start ComfyUI with --lowvram"
)


@contextmanager
def explained_memory_errors(work: str, remedies: str = _REMEDIES) -> Generator[None, None, None]:
    """Replace an out-of-memory error by one of the host's class that names remedies.

    The host recognizes its own class, and unloads all models. So the next prompt finds free memory.

    Args:
        work: See `explain`.
        remedies: Changes that need less memory, as the rest of a sentence.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        explained = explain(error, work, "more free memory: this part of the work cannot be made smaller", remedies)
        raise comfy.model_management.OOM_EXCEPTION(str(explained)) from None
