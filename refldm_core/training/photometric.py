"""Strong random changes of color and tone, so that networks trained on rendered pictures also work on photographs."""

# torchvision is typed in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_GRAY = 0.15
"""Share of pictures that lose their color."""


def strong_photometric(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """Change exposure, contrast, color, gamma and white balance at random.

    Args:
        picture: (3, height, width) RGB in [0, 1].
        rng: random numbers.

    Returns:
        The same shape and range.
    """
    from torchvision.transforms.v2 import functional as transforms  # noqa: PLC0415 (optional)

    picture = transforms.adjust_gamma(picture, float(np.exp(rng.normal(0.0, 0.25))))
    picture = transforms.adjust_saturation(picture, float(rng.uniform(0.3, 1.5)))
    balance = torch.as_tensor(np.exp(rng.normal(0.0, 0.10, 3)), dtype=picture.dtype)
    picture = (picture * balance[:, None, None] * float(rng.uniform(0.6, 1.4))).clamp(0.0, 1.0)
    picture = transforms.adjust_contrast(picture, float(rng.uniform(0.6, 1.4)))
    if rng.random() < _GRAY:
        picture = transforms.rgb_to_grayscale(picture, num_output_channels=3)
    return (
        picture + float(rng.uniform(0.0, 0.03)) * torch.as_tensor(rng.standard_normal(picture.shape, dtype=np.float32))
    ).clamp(0.0, 1.0)
