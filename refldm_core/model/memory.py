"""Free memory of an accelerator."""

from __future__ import annotations

import torch


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes that can still be allocated on an accelerator; None for the CPU and where nobody reports it.

    On Windows a driver may allocate more, in the computer's main memory. This works, but is many times slower.
    """
    if device.type == "cuda" and torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info(device)
        # Torch can also use the memory that it holds in reserve.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps" and torch.backends.mps.is_available():
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return None
