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
    # Tensors that are assigned keep their type, which in a file of 16 bits is not always the network's.
    own = network.state_dict()
    fitting = {name: tensor.to(own[name].dtype) if name in own else tensor for name, tensor in weights.items()}
    network.load_state_dict(fitting, strict=True, assign=dynamic)
    network.requires_grad_(False)
