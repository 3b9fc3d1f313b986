"""Several processes at one piece of work: what `accelerate launch` and `torchrun` start, on one machine or several."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch


def join_processes() -> int:
    """Meet the other processes, if there are any.

    Returns:
        This process's number, 0 for the first or only one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.distributed.is_initialized():
        # gloo is there on every system; only waiting goes through it, and that may take long.
        torch.distributed.init_process_group("gloo", timeout=timedelta(days=30))
    return int(os.environ.get("RANK", "0"))


def wait_for_all() -> None:
    """Until every process is here."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        distributed: Any = torch.distributed  # typed in part only
        distributed.barrier()


def leave_processes() -> None:
    """Part from the others, as a process must before it ends."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
