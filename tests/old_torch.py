"""Limits of the oldest PyTorch that the package supports."""

from __future__ import annotations

import pytest
import torch

TORCH_2_4 = torch.__version__.startswith("2.4.")

needs_traced_mappings = pytest.mark.skipif(
    TORCH_2_4, reason="torch 2.4 cannot trace a read-only mapping, and runs uncompiled"
)
