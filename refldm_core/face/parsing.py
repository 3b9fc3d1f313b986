"""Face parsing: segmentation of an aligned crop with facexlib's networks, which are imported when first used."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..images import antialiased
from .backends import load_strictly
from .constants import ParserKind
from .packages import import_optional

PARSER_SIZE = 512

# Labels of the face and of the hair. The two published files number the 19 parts of CelebAMask-HQ differently.
_FACE = {"parsenet": (*range(1, 13), 15), "bisenet": (*range(1, 14),)}
_HAIR = {"parsenet": 13, "bisenet": 17}
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class FaceParser:
    """facexlib's ParseNet or BiSeNet with 19 parts.

    Args:
        kind: Kind of network.
        tensors: Weights from the published file, read by `read_tensors`.
        device: Device of the network.

    Raises:
        MissingPackageError: facexlib is not installed.
        CheckpointError: The tensors do not belong to this network.
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
        """Label the parts in aligned crops (batch, 3, size, size) in [-1, 1]: (batch, 512, 512) int64.

        The labels are the part numbers of this network.
        """
        crops = antialiased(crops.to(self.device), (PARSER_SIZE, PARSER_SIZE), "bilinear")
        if self.kind == "bisenet":
            mean, deviation = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in _IMAGENET)
            crops = ((crops + 1.0) / 2.0 - mean) / deviation
        # Each call takes one crop, so that the memory does not grow with the number of faces.
        return torch.cat([self.module(crop.unsqueeze(0))[0].argmax(dim=1) for crop in crops])

    def mask(self, crops: Tensor, *, hair: bool = True) -> Tensor:
        """Return masks of the faces: 1 on skin, features, ears, glasses, earrings and (with `hair`) hair.

        Args:
            crops: (batch, 3, size, size) in [-1, 1], aligned to the FFHQ template as the networks expect.
            hair: Whether hair belongs to the face. ReF-LDM restores hair, and facexlib's own pasting includes it.

        Returns:
            (batch, 512, 512) float32.
        """
        labels = self.labels(crops)
        face_labels = [*_FACE[self.kind], *([_HAIR[self.kind]] if hair else [])]
        return torch.isin(labels, torch.tensor(face_labels, device=labels.device)).float()

    def visible(self, crops: Tensor) -> Tensor:
        """Return the share of each face that nothing covers: (batch,) in [0, 1].

        This is the share of face pixels, hair included, in an ellipse from the brows to the chin. A hand, a microphone
        or a face mask in the ellipse is not labeled as face.
        """
        face = self.mask(crops, hair=True)
        y, x = torch.meshgrid(*[torch.arange(PARSER_SIZE, device=face.device).float()] * 2, indexing="ij")
        ellipse = ((x - 256.0) / 100.0) ** 2 + ((y - 310.0) / 130.0) ** 2 <= 1.0
        return (face * ellipse).sum(dim=(1, 2)) / ellipse.sum()
