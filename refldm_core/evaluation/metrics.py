"""The metrics of single pictures, and the conversion of pictures. torchmetrics and pyiqa hold the formulas.

Convention: a picture is (height, width, 3) uint8 RGB. The metrics receive (1, 3, height, width) in [0, 1].
"""

from __future__ import annotations

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

_WINDOW_RADIUS = 5
"""Pixels from the center of an SSIM window to its edge."""


def to_unit(picture: Picture) -> Tensor:
    """Return a picture as a tensor (1, 3, height, width), float32 in [0, 1]."""
    return torch.tensor(picture).movedim(-1, 0).unsqueeze(0).float() / 255.0


def psnr(prediction: Picture, truth: Picture) -> float:
    """Return the peak signal-to-noise ratio in dB over all pixels and channels; infinite for equal pictures.

    Raises:
        MissingPackageError: torchmetrics is not installed.
    """
    image = require("torchmetrics.functional.image")
    a, b = (to_unit(picture).double() for picture in (prediction, truth))
    return float(image.peak_signal_noise_ratio(a, b, data_range=1.0))


def ssim(prediction: Picture, truth: Picture) -> float:
    """Return the structural similarity (Wang et al. 2004), the mean of the three channels.

    The windows are Gaussian, 11 pixels wide, with sigma 1.5. Only windows within the picture count, as in the paper and
    in scikit-image. The mean of torchmetrics also counts windows with mirrored pixels. The computation in float32 has
    an error of up to 1e-4 for nearly flat pictures, but float64 takes 15 times as long.

    Returns:
        A number of at most 1; NaN for pictures smaller than a window.

    Raises:
        MissingPackageError: torchmetrics is not installed.
    """
    image = require("torchmetrics.functional.image")
    _, similarity_map = image.structural_similarity_index_measure(
        to_unit(prediction), to_unit(truth), data_range=1.0, return_full_image=True
    )
    return float(similarity_map[..., _WINDOW_RADIUS:-_WINDOW_RADIUS, _WINDOW_RADIUS:-_WINDOW_RADIUS].mean())


def embed_picture(judge: IdentityJudge, picture: Picture) -> Embeddings:
    """Return the embedding (1, d) of an aligned picture by a judge of identity."""
    return judge.embed_crops(u8_to_tensor(torch.tensor(picture).movedim(-1, 0)).unsqueeze(0))
