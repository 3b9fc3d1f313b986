"""The network of the small face recognizer, and its ONNX file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..face.identity import ARCFACE_SIZE
from ..face.packages import import_optional


class Block(nn.Module):
    """Residual block with PReLU that halves height and width, as in ArcFace's IR networks.

    Args:
        inputs, outputs: number of channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=2, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.activation = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h / 2, w / 2)."""
        return self.activation(self.body(x) + self.shortcut(x))


class RecognizerNetwork(nn.Module):
    """Maps pictures to embeddings.

    At the end, each channel has its own weights for its 7 x 7 positions, as in MobileFaceNet (arXiv 1804.07573). In an
    aligned crop, the position of a mole tells as much as the mole itself.

    Args:
        width: channels of the first level. The next levels have 2, 4 and 16/3 times as many.
        embedding: length of the embedding.
    """

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        last = width * 16 // 3
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        self.blocks = nn.Sequential(Block(width, 2 * width), Block(2 * width, 4 * width), Block(4 * width, last))
        self.places = nn.Sequential(nn.Conv2d(last, last, 7, groups=last, bias=False), nn.BatchNorm2d(last))
        self.head = nn.Linear(last, embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 3, 112, 112) RGB in [-1, 1] to (n, embedding), which is not of unit length."""
        return self.head(self.places(self.blocks(self.stem(x))).flatten(1))


def save_onnx(network: RecognizerNetwork, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network in insightface's layout: input "input.1" (n, 3, 112, 112), one output, float32.

    The weights stay in 32 bits, because onnx2torch reads no other ones.

    Args:
        network: network to write.
        path: path of the file.
        metadata: key and text of each metadata entry of the file.

    Raises:
        MissingPackageError: onnx is not installed.
    """
    onnx = import_optional("onnx", "onnx")
    export = cast(Any, torch.onnx).export  # typed in part only
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package warns that it is the legacy one
        export(
            network.eval(),
            (torch.zeros(1, 3, ARCFACE_SIZE, ARCFACE_SIZE),),
            str(path),
            input_names=["input.1"],
            output_names=["embedding"],
            dynamic_axes={"input.1": {0: "n"}, "embedding": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, str(path))
