"""Face recognition in losses: a recognizer's ONNX file as a torch module, which gradients flow through."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..face.identity import published_crop
from ..out_of_memory import is_out_of_memory
from .task import TrainingError


def differentiable_recognizer(path: Path) -> nn.Module:
    """Read a recognizer as a frozen torch module in evaluation mode.

    Args:
        path: ONNX file of insightface's layout, for instance w600k_r50.onnx of the pack buffalo_l.

    Returns:
        A module that maps (n, 3, 112, 112) RGB in [-1, 1] to (n, d).

    Raises:
        TrainingError: the file does not exist or cannot be converted, or onnx2torch is not installed.
    """
    try:
        import onnx  # noqa: PLC0415 (optional)
        import onnx2torch  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise TrainingError(
            f"The package {error.name} is not installed.",
            expected="the packages that training needs",
            remedy='run `pip install -e ".[train]"` in the folder of the project',
        ) from error
    if not path.is_file():
        raise TrainingError(
            f"There is no recognizer {path}.",
            expected="an ONNX file such as w600k_r50.onnx of the pack buffalo_l",
            remedy="run `refldm download insightface`, or set loss.identity.weight: 0",
        )
    try:
        module = cast(nn.Module, onnx2torch.convert(onnx.load(str(path))))
    except Exception as error:  # a file of another kind makes these packages raise errors of many types
        if is_out_of_memory(error):
            raise
        raise TrainingError(
            f"The recognizer {path} cannot be converted for training ({error!r}).",
            expected="an ArcFace ONNX file of insightface's layout",
            remedy="use w600k_r50.onnx of the pack buffalo_l",
        ) from error
    return module.eval().requires_grad_(False)


class IdentityNetwork(nn.Module):
    """Embeds crops for the identity loss, cut out of the aligned crops in the published way.

    Args:
        recognizer: see `differentiable_recognizer`.
        size: side of its input in pixels.
    """

    def __init__(self, recognizer: nn.Module, size: int = 112) -> None:
        super().__init__()
        self.recognizer = recognizer
        self.size = size

    def forward(self, crops: Tensor) -> Tensor:
        """Map FFHQ-aligned crops (n, 3, h, w) in [-1, 1] to embeddings (n, d), which are not normalized."""
        with torch.autocast(crops.device.type, enabled=False):
            return self.recognizer(published_crop(crops.float(), self.size))


class PerceptualDistance(nn.Module):
    """Distance of pictures in the features of a network: LPIPS, or a recognizer whose stages are compared as in LPIPS.

    Args:
        network: "lpips" (arXiv 1801.03924; the package downloads its weights) or the ONNX file of a recognizer.

    Raises:
        TrainingError: the network cannot be loaded.
    """

    def __init__(self, network: str) -> None:
        super().__init__()
        self._features: list[Tensor] = []
        self.lpips: nn.Module | None = None
        if network == "lpips":
            self.lpips = _lpips()
            return
        self.identity = IdentityNetwork(differentiable_recognizer(Path(network)))
        for module in self.identity.modules():
            if isinstance(module, nn.Conv2d) and module.stride[0] > 1:
                module.register_forward_hook(self._remember)

    def _remember(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        self._features.append(output)

    def forward(self, pictures: Tensor, truth: Tensor) -> Tensor:
        """Return the mean distance of pairs of pictures. Both arguments are (n, 3, h, w) in [-1, 1]."""
        if self.lpips is not None:
            with torch.autocast(pictures.device.type, enabled=False):
                return self.lpips(pictures.float(), truth.float()).mean()
        with torch.no_grad():
            target = self._stages(truth)
        pairs = zip(self._stages(pictures), target, strict=True)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).mean()

    def _stages(self, pictures: Tensor) -> list[Tensor]:
        """Return the activations after each halving of the size. The channels of each pixel have unit length."""
        self._features = []
        self.identity(pictures)
        features, self._features = self._features, []
        return [F.normalize(feature, dim=1) for feature in features]


def _lpips() -> nn.Module:
    try:
        import lpips  # noqa: PLC0415 (optional)  # pyright: ignore[reportMissingTypeStubs]

        return cast(nn.Module, lpips.LPIPS(net="vgg", verbose=False)).eval().requires_grad_(False)
    except (ImportError, OSError) as error:
        raise TrainingError(
            f"LPIPS cannot be loaded ({error}).",
            expected="the package lpips, and for its first use a connection to download its weights",
            remedy='run `pip install -e ".[train]"` in the folder of the project and connect, set loss.network to the '
            "ONNX file of a recognizer, or set loss.perceptual: 0",
        ) from error
