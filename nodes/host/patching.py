"""Networks in the host's memory manager."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_patcher
import torch
from torch import Tensor


def patcher_class(disable_dynamic: bool = False) -> Any:
    """Newer hosts have one that loads layer by layer; which one it is, they decide after starting."""
    plain = comfy.model_patcher.ModelPatcher
    return plain if disable_dynamic else getattr(comfy.model_patcher, "CoreModelPatcher", plain)


def load_strictly(network: torch.nn.Module, weights: Mapping[str, Tensor], patcher: Any) -> None:
    dynamic = hasattr(patcher, "is_dynamic") and patcher.is_dynamic()
    network.load_state_dict(dict(weights), strict=True, assign=dynamic)
    network.requires_grad_(False)
