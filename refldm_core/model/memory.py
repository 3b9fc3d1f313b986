"""How much memory an accelerator has left."""

from __future__ import annotations

import torch


def free_bytes(device: torch.device) -> int | None:
    """Bytes that can still be allocated on an accelerator; None for the CPU and where it cannot be told.

    On Windows a driver may lend the computer's own memory beyond this. That works, but many times slower.
    """
    if device.type == "cuda" and torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info(device)
        # Memory that torch holds for later is free for it too.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps" and torch.backends.mps.is_available():
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None
