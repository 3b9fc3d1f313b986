"""The U-Net and the first stage in the host's memory manager."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_patcher
import torch
from torch import Tensor


def patcher_class(disable_dynamic: bool = False) -> Any:
    """Return the host's class of patchers. Newer hosts load layer by layer, and choose the class after they start."""
    plain = comfy.model_patcher.ModelPatcher
    return plain if disable_dynamic else getattr(comfy.model_patcher, "CoreModelPatcher", plain)


def load_strictly(network: torch.nn.Module, weights: Mapping[str, Tensor], patcher: Any) -> None:
    """Load weights that must fit the network exactly, and freeze them. A dynamic patcher needs assigned tensors."""
    dynamic = hasattr(patcher, "is_dynamic") and patcher.is_dynamic()
    # An assigned tensor keeps its type. The type in a 16-bit file is not always the network's, so it is cast first.
    current = network.state_dict()
    cast = {name: tensor.to(current[name].dtype) if name in current else tensor for name, tensor in weights.items()}
    network.load_state_dict(cast, strict=True, assign=dynamic)
    network.requires_grad_(False)
