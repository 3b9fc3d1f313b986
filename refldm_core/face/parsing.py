"""Face parsing: which pixels of an aligned crop are face. facexlib's networks, imported only when used."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ..images import antialiased
from .backends import load_strictly
from .packages import import_optional

ParserKind = Literal["parsenet", "bisenet"]

PARSER_SIZE = 512

# Labels of the two published files, which number the 19 parts of CelebAMask-HQ differently.
_FACE = {"parsenet": (*range(1, 13), 15), "bisenet": (*range(1, 14),)}
_HAIR = {"parsenet": 13, "bisenet": 17}
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class FaceParser:
    """facexlib's ParseNet or BiSeNet with 19 parts.

    Args:
        kind: of network.
        tensors: of the published file, as `read_tensors` gives them.
        device: to run on.

    Raises:
        MissingPackageError: facexlib is not installed.
        CheckpointError: the tensors are not this network's.
    """

    def __init__(self, kind: ParserKind, tensors: Mapping[str, Tensor], device: torch.device | str = "cpu") -> None:
        self.kind: ParserKind = kind
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if kind == "parsenet":
                parsenet = import_optional("facexlib.parsing.parsenet", "facexlib")
                self.module: Any = parsenet.ParseNet(in_size=PARSER_SIZE, out_size=PARSER_SIZE, parsing_ch=19)
            else:
                bisenet = import_optional("facexlib.parsing.bisenet", "facexlib")
                self.module = bisenet.BiSeNet(num_class=19)
        load_strictly(self.module, tensors, f"the face parser {kind}")
        self.module.eval().requires_grad_(False).to(device)

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @torch.no_grad()
    def labels(self, crops: Tensor) -> Tensor:
        """Aligned crops (batch, 3, size, size) in [-1, 1] -> (batch, 512, 512) int64 part numbers of this network."""
        crops = antialiased(crops.to(self.device), (PARSER_SIZE, PARSER_SIZE), "bilinear")
        if self.kind == "bisenet":
            mean, deviation = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in _IMAGENET)
            crops = ((crops + 1.0) / 2.0 - mean) / deviation
        # One crop a call: the memory for 100 faces would be that of 100 faces.
        return torch.cat([self.module(crop.unsqueeze(0))[0].argmax(dim=1) for crop in crops])

    def mask(self, crops: Tensor, *, hair: bool = True) -> Tensor:
        """(batch, 3, size, size) in [-1, 1] -> (batch, 512, 512) float32: 1 on skin, features, ears, glasses, earrings.

        Args:
            crops: aligned to the FFHQ template, as the networks expect.
            hair: whether hair is face too; ReF-LDM restores it, and facexlib's own pasting includes it.
        """
        labels = self.labels(crops)
        wanted = [*_FACE[self.kind], *([_HAIR[self.kind]] if hair else [])]
        return torch.isin(labels, torch.tensor(wanted, device=labels.device)).float()

    def visible(self, crops: Tensor) -> Tensor:
        """How much of each face is not covered: (batch,) in [0, 1].

        The share of face among the pixels of an ellipse from brows to chin, where a hand, a microphone or a mask
        is none.
        """
        face = self.mask(crops, hair=True)
        y, x = torch.meshgrid(*[torch.arange(PARSER_SIZE, device=face.device).float()] * 2, indexing="ij")
        ellipse = ((x - 256.0) / 100.0) ** 2 + ((y - 310.0) / 130.0) ** 2 <= 1.0
        return (face * ellipse).sum(dim=(1, 2)) / ellipse.sum()
