"""Several processes that share the work of one command, as `accelerate launch` and `torchrun` start them."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch


def join_processes() -> int:
    """Connect to the other processes, if there are any.

    Returns:
        The number of this process; 0 for the first or only process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.distributed.is_initialized():
        # Every system has gloo. The processes only wait for each other through it, and that may take long.
        torch.distributed.init_process_group("gloo", timeout=timedelta(days=30))
    return int(os.environ.get("RANK", "0"))


def wait_for_all() -> None:
    """Wait until every process has reached this call."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        distributed: Any = torch.distributed  # has type annotations in part only
        distributed.barrier()


def leave_processes() -> None:
    """Disconnect from the other processes. A process must do so before it ends."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
