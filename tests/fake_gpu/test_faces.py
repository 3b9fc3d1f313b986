"""Face networks and guidance on a simulated NVIDIA GPU, and resizing on a simulated Apple GPU."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from facexlib.detection.retinaface import RetinaFace
from facexlib.parsing.bisenet import BiSeNet
from facexlib.parsing.parsenet import ParseNet
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.common.simulated_gpu import GPU, CopyCounter
from refldm_core.diffusion.guidance import guided
from refldm_core.face.backends import RetinaFaceNetwork
from refldm_core.face.parsing import FaceParser, ParserKind
from refldm_core.images import antialiased


@pytest.fixture(autouse=True)
def movable_fake_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `Module.to` replace fake parameters, which it cannot convert in place. Skip the check of their values."""

    def to(module: nn.Module, device: torch.device | str) -> nn.Module:
        moved = {name: tensor.to(device) for name, tensor in module.state_dict().items()}
        module.load_state_dict(moved, assign=True)
        return module

    monkeypatch.setattr(nn.Module, "to", to)
    monkeypatch.setattr("refldm_core.face.backends._not_finite", lambda tensors: [])


@pytest.mark.parametrize("kind", ["parsenet", "bisenet"])
def test_parsers_copy_little_between_devices(kind: ParserKind) -> None:
    network = ParseNet(in_size=512, out_size=512, parsing_ch=19) if kind == "parsenet" else BiSeNet(num_class=19)
    parser = FaceParser(kind, network.state_dict(), GPU)
    crops = torch.zeros(2, 3, 128, 128)
    with CopyCounter() as counter:
        mask = parser.mask(crops)
    assert (mask.device.type, mask.shape) == ("cuda", (2, 512, 512))
    # One copy of the crops, and copies of constants.
    assert len(counter.copies) <= 4


def test_retinaface_copies_nothing_between_devices() -> None:
    """The network itself stays on the GPU. The steps after it read its three outputs on the CPU."""
    package_network = RetinaFace(network_name="mobile0.25", half=False, device=torch.device("cpu"))
    network = RetinaFaceNetwork("mobile0.25", package_network.state_dict(), GPU)
    with CopyCounter() as counter:
        outputs = network.module(torch.zeros(1, 3, 128, 160, device=GPU))
    assert {output.device.type for output in outputs} == {"cuda"}
    assert counter.copies == []


class OperationRecorder(TorchDispatchMode):
    """Records the operations on tensors outside the CPU, and allows copies of fake tensors to an Apple GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(arg.device.type != "cpu" for arg in args if isinstance(arg, torch.Tensor)):
            self.names.append(str(func))
        if func is torch.ops.aten._to_copy.default and torch.device(kwargs.get("device") or "cpu").type == "mps":
            return torch.empty(args[0].shape, dtype=args[0].dtype, device="mps")
        return func(*args, **kwargs)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resizing_needs_no_kernel_that_apple_gpus_lack(mode: Literal["bilinear", "bicubic"]) -> None:
    """Before torch 2.7, Apple's GPUs have no kernel for antialiased resizing."""
    images = torch.zeros(1, 3, 16, 16, device="mps")
    with OperationRecorder() as recorder:
        resized = antialiased(images, (8, 8), mode)
    assert (resized.device.type, resized.shape) == ("mps", (1, 3, 8, 8))
    assert not [name for name in recorder.names if "_aa" in name]


def test_guidance_needs_no_kernel_that_apple_gpus_lack() -> None:
    """Before torch 2.8, Apple's GPUs have no kernel for `index_copy`."""
    x = torch.zeros(3, 8, 4, 4, device=GPU)
    predict = guided(lambda images, t, conditions: images * 2.0, [1, 2, 3], [None, 5, None], 1.5)
    with OperationRecorder() as recorder:
        assert predict(x, 10).shape == x.shape
    assert recorder.names and not [name for name in recorder.names if "index" in name]
