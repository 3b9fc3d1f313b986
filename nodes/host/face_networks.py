"""Face networks in the host's memory manager."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.model_management
import comfy.model_patcher
import torch
from torch import Tensor

from ...refldm_core.face.backends import RetinaFaceNetwork
from ...refldm_core.face.detection import FaceNetwork
from ...refldm_core.face.findings import Findings, Picture
from ...refldm_core.face.parsing import FaceParser
from .memory import explained_memory_errors

_LESS = "use smaller pictures, close other programs, or start ComfyUI with --lowvram"


class ManagedRetinaFace(RetinaFaceNetwork):
    """RetinaFace in the host's memory manager.

    The host moves it to its device for each search, and away when the memory is needed.
    """

    def __init__(self, network: RetinaFaceNetwork) -> None:
        self.module = network.module
        self._tile = network.tile
        self._turned_threshold = network.turned_threshold
        self._second_look = network.second_look
        self._metadata = dict(network.metadata)
        self._patcher = _patcher(network.module)

    def find_batch(self, pictures: Sequence[Picture], threshold: float) -> list[Findings]:
        with explained_memory_errors("find faces in one part of a picture", _LESS):
            self.to(_on_device(self._patcher))
            return super().find_batch(pictures, threshold)


class ManagedParser(FaceParser):
    """A face parser in the host's memory manager."""

    def __init__(self, parser: FaceParser) -> None:
        self.kind = parser.kind
        self.module = parser.module
        self._patcher = _patcher(parser.module)

    def labels(self, crops: Tensor) -> Tensor:
        with explained_memory_errors("mark face and hair in one crop", _LESS):
            _on_device(self._patcher)
            return super().labels(crops)


def manage_network(network: FaceNetwork) -> FaceNetwork:
    """Return a detection network in the host's memory manager.

    A network that onnxruntime runs is returned as it is, since onnxruntime manages its own memory.
    """
    return ManagedRetinaFace(network) if isinstance(network, RetinaFaceNetwork) else network


def _patcher(module: torch.nn.Module) -> Any:
    management = comfy.model_management
    # The dynamic patcher of newer hosts loads the host's own layers one by one, which these small networks lack.
    return comfy.model_patcher.ModelPatcher(
        module, load_device=management.get_torch_device(), offload_device=torch.device("cpu")
    )


def _on_device(patcher: Any) -> torch.device:
    comfy.model_management.load_models_gpu([patcher])
    return patcher.load_device
