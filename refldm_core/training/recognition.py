"""A face recognizer that gradients flow through: an ONNX file as a torch module."""

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
    """(n, 3, 112, 112) RGB in [-1, 1] -> (n, d), frozen, in evaluation mode.

    Args:
        path: ONNX file of insightface's layout, for instance w600k_r50.onnx of the pack buffalo_l.

    Raises:
        TrainingError: no such file, none that can be converted, or onnx2torch is not installed.
    """
    try:
        import onnx  # noqa: PLC0415 (optional)
        import onnx2torch  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise TrainingError(
            f"The package {error.name} is not installed.",
            expected="what training needs",
            remedy='run `pip install -e ".[train]"` in the folder of the project',
        ) from error
    if not path.is_file():
        raise TrainingError(
            f"There is no recognizer {path}.",
            expected="an ONNX file such as w600k_r50.onnx of the pack buffalo_l",
            remedy="run `refldm download insightface`, or set loss.identity.weight: 0 to train without",
        )
    try:
        module = cast(nn.Module, onnx2torch.convert(onnx.load(str(path))))
    except Exception as error:  # whatever a file that is none makes these packages raise
        if is_out_of_memory(error):
            raise
        raise TrainingError(
            f"The recognizer {path} cannot be converted for training ({error!r}).",
            expected="an ArcFace ONNX file of insightface's layout",
            remedy="use w600k_r50.onnx of the pack buffalo_l",
        ) from error
    return module.eval().requires_grad_(False)


class IdentityNetwork(nn.Module):
    """Embeddings as the identity loss sees them: of crops cut out in the published way.

    Args:
        recognizer: see `differentiable_recognizer`.
        size: of its input in pixels.
    """

    def __init__(self, recognizer: nn.Module, size: int = 112) -> None:
        super().__init__()
        self.recognizer = recognizer
        self.size = size

    def forward(self, crops: Tensor) -> Tensor:
        """FFHQ-aligned crops (n, 3, h, w) in [-1, 1] -> (n, d), not normalized."""
        with torch.autocast(crops.device.type, enabled=False):
            return self.recognizer(published_crop(crops.float(), self.size))


class PerceptualDistance(nn.Module):
    """Distance of pictures in a network's features: LPIPS, or the stages of a recognizer compared in LPIPS's way.

    Args:
        network: "lpips" (arXiv 1801.03924; the package fetches its weights) or the ONNX file of a recognizer.

    Raises:
        TrainingError: the network cannot be had.
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
        """Two (n, 3, h, w) in [-1, 1] -> the mean distance."""
        if self.lpips is not None:
            with torch.autocast(pictures.device.type, enabled=False):
                return self.lpips(pictures.float(), truth.float()).mean()
        with torch.no_grad():
            target = self._stages(truth)
        pairs = zip(self._stages(pictures), target, strict=True)
        return torch.stack([(a - b).square().sum(1).mean() for a, b in pairs]).mean()

    def _stages(self, pictures: Tensor) -> list[Tensor]:
        """Activations where the network halves its size, each pixel's of unit length."""
        self._features = []
        self.identity(pictures)
        found, self._features = self._features, []
        return [F.normalize(feature, dim=1) for feature in found]


def _lpips() -> nn.Module:
    try:
        import lpips  # noqa: PLC0415 (optional)  # pyright: ignore[reportMissingTypeStubs]

        return cast(nn.Module, lpips.LPIPS(net="vgg", verbose=False)).eval().requires_grad_(False)
    except (ImportError, OSError) as error:
        raise TrainingError(
            f"LPIPS is not to be had ({error}).",
            expected="the package lpips, and once a connection for its weights",
            remedy='run `pip install -e ".[train]"` in the folder of the project and connect, set loss.network to the '
            "ONNX file of a recognizer, or set loss.perceptual: 0",
        ) from error
