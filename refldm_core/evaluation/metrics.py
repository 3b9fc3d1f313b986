"""What a restored face is judged by. The formulas are torchmetrics' and pyiqa's; here are names and conversions.

Convention: a picture is (height, width, 3) uint8 RGB; the metrics see (1, 3, height, width) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..face.identity import Embeddings
from ..images import u8_to_tensor
from .identity import IdentityJudge
from .packages import require

Picture = NDArray[np.uint8]
"""(height, width, 3) RGB."""


@dataclass(frozen=True)
class Metric:
    """A column of the tables.

    Attributes:
        label: its heading.
        better: 1 where more is better, -1 where less is.
        digits: that are shown after the point.
        about: what it is, for the reports.
    """

    label: str
    better: int
    digits: int
    about: str


METRICS: dict[str, Metric] = {
    "ids": Metric("IDS", 1, 3, "identity similarity to the truth, by the measure of the recognizer"),
    "ids_second": Metric(
        "IDS, 2nd recognizer", 1, 3, "the same with another recognizer: a model can learn to please the first"
    ),
    "references": Metric("similarity to references", 1, 3, "mean similarity to the person's reference photos"),
    "references_second": Metric("to references, 2nd", 1, 3, "the same with the second recognizer"),
    "psnr": Metric("PSNR", 1, 2, "peak signal-to-noise ratio in dB over all channels (torchmetrics)"),
    "ssim": Metric("SSIM", 1, 3, "structural similarity, mean of the RGB channels, 11 pixel Gaussian (torchmetrics)"),
    "lpips": Metric("LPIPS", -1, 3, "learned perceptual distance, version 0.1 with AlexNet (pyiqa)"),
    "fid": Metric("FID", -1, 2, "Frechet distance between all predictions and all truths (pyiqa, clean-fid)"),
    "niqe": Metric("NIQE", -1, 2, "naturalness, from the prediction alone (pyiqa)"),
    "musiq": Metric("MUSIQ", 1, 2, "quality, from the prediction alone (pyiqa, trained on KonIQ)"),
}
"""In the order of the tables' columns."""

_REACH = 5
"""Pixels from the middle of an SSIM window to its edge."""

IDENTITY = ("ids", "ids_second")
LIKENESS = {"ids": "references", "ids_second": "references_second"}
"""Recognizer, named by its IDS -> the similarity to the references that it judges."""
FIDELITY = ("psnr", "ssim")
LEARNED = ("lpips", "niqe", "musiq")
"""Computed for each picture by networks and models that pyiqa downloads."""
SETS = ("fid",)
"""Computed of all pictures at once."""


def to_unit(picture: Picture) -> Tensor:
    """(height, width, 3) uint8 -> (1, 3, height, width) float32 in [0, 1]."""
    return torch.tensor(picture).movedim(-1, 0).unsqueeze(0).float() / 255.0


def psnr(prediction: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal pictures.

    Raises:
        MissingPackageError: torchmetrics is not installed.
    """
    image = require("torchmetrics.functional.image")
    a, b = (to_unit(picture).double() for picture in (prediction, truth))
    return float(image.peak_signal_noise_ratio(a, b, data_range=1.0))


def ssim(prediction: Picture, truth: Picture) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian windows of 11 pixels, sigma 1.5, mean of the three channels.

    Only windows that lie within the picture count, as in the paper and in scikit-image: torchmetrics' own mean has
    those with mirrored pixels too. In float32, which costs up to 1e-4 of nearly flat pictures: float64 takes 15 times
    as long.

    Returns:
        At most 1; NaN for pictures smaller than a window.

    Raises:
        MissingPackageError: torchmetrics is not installed.
    """
    image = require("torchmetrics.functional.image")
    _, whole = image.structural_similarity_index_measure(
        to_unit(prediction), to_unit(truth), data_range=1.0, return_full_image=True
    )
    return float(whole[..., _REACH:-_REACH, _REACH:-_REACH].mean())


def embed_picture(judge: IdentityJudge, picture: Picture) -> Embeddings:
    """The embedding (1, d) of an aligned picture, as a judge of identity sees it."""
    return judge.embed_crops(u8_to_tensor(torch.tensor(picture).movedim(-1, 0)).unsqueeze(0))
