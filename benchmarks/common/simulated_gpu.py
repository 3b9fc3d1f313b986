"""A simulated GPU for machines without one. It shows which copies a computation makes and how much memory it takes.

torch's fake tensors have a shape, a type and a device, but no content. Every operation checks them as the real device
would, and takes no time. They show neither speed, nor the workspace that cuDNN needs, nor the memory that fragmentation
loses.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from refldm_core.checkpoints.building import CODEBOOK, convolves_in_channels_last, first_stage_dtype_for
from refldm_core.model.attention import key_mask
from refldm_core.model.unet import UNet
from refldm_core.model.variants import ModelSpec
from refldm_core.model.vqgan import FirstStage
from refldm_core.pipeline import Restorer

GPU = torch.device("cuda")


@contextmanager
def simulated_gpu() -> Generator[None, None, None]:
    """Make all tensors that are created inside fake; those on the device "cuda" are on the simulated GPU."""
    finite = mock.patch("refldm_core.pipeline.require_finite_values", _copy_whether_finite)
    with FakeTensorMode(), warnings.catch_warnings(), finite:
        # Restorer compares the addresses of weights to notice new ones. A fake tensor answers 0, with a warning.
        warnings.filterwarnings("ignore", message="Accessing the data pointer of FakeTensor")
        yield


def _copy_whether_finite(what: str, *batches: Tensor, remedy: str) -> None:
    """Do the operations of `require_finite_values` and its one copy, but no check: fake tensors have no values."""
    torch.stack([batch.isfinite().all() for batch in batches]).all().reshape(1).cpu()


def simulated_restorer(spec: ModelSpec, dtype: torch.dtype) -> Restorer:
    """Build a model on the simulated GPU, in the types and the memory layout that `load_model` would use."""
    unet = UNet(spec.unet, attention=memory_efficient_attention)
    first_stage = FirstStage(spec.first_stage, attention=memory_efficient_attention)
    place_on_gpu(unet, dtype)
    place_on_gpu(first_stage, first_stage_dtype_for(dtype))
    return Restorer(unet, first_stage, spec)


def place_on_gpu(network: nn.Module, dtype: torch.dtype) -> None:
    """Replace a network's parameters as `load_model` does. `Module.to` cannot convert fake parameters."""
    in_channels_last = convolves_in_channels_last(network, GPU, dtype)

    def place(name: str, weight: Tensor) -> Tensor:
        layout = torch.channels_last if in_channels_last and weight.ndim == 4 else torch.contiguous_format
        return weight.detach().to(GPU, torch.float32 if name == CODEBOOK else dtype).contiguous(memory_format=layout)

    weights = {name: place(name, weight) for name, weight in network.state_dict().items()}
    network.load_state_dict(weights, strict=True, assign=True)


def memory_efficient_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute attention by the fused kernel of NVIDIA GPUs. Fake tensors would use the unfused implementation."""
    mask = key_mask(bias, q)
    mask = None if mask is None else mask.expand(*q.shape[:2], -1, -1)
    return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, mask, compute_log_sumexp=False)[0]


class CopyCounter(TorchDispatchMode):
    """Records each operation that moves a tensor between the CPU and the simulated GPU.

    In every such operation one device waits for the other. An operation for which Python reads a number from the GPU
    cannot be simulated: it raises `DataDependentOutputException`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
        # A kernel takes a CPU tensor without dimensions as a plain number, without a copy.
        devices = {tensor.device.type for tensor in tensors if tensor.ndim or tensor.device.type != "cpu"}
        if len(devices) > 1:
            self.copies.append(str(func))
        return result


class MemoryMeter(TorchDispatchMode):
    """Adds up the bytes of the live tensors on the simulated GPU that were created while it is active."""

    def __init__(self) -> None:
        super().__init__()
        self.allocated = 0
        self.peak = 0
        self._storages: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.device.type == GPU.type:
                storage = leaf.untyped_storage()
                if storage not in self._storages and id(storage) not in inputs:
                    self._storages.add(storage)
                    self.allocated += storage.nbytes()
                    weakref.finalize(storage, self._release, storage.nbytes())
        self.peak = max(self.peak, self.allocated)
        return result

    def _release(self, nbytes: int) -> None:
        self.allocated -= nbytes
