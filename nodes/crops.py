"""Pictures of any size -> crops of the model's."""

from __future__ import annotations

import torch
from torch import Tensor

from ..refldm_core.images import bhwc_to_model, model_to_bhwc, to_pil, to_tensor


def fit(images: Tensor, size: int) -> Tensor:
    """IMAGE (batch, height, width, 3 or 4) in [0, 1] -> (batch, size, size, 3).

    Another size is resized as the published inference does it, which its numbers depend on; crops of the right size
    stay as they are.
    """
    rgb = images[..., :3].float()
    if rgb.shape[1:3] == (size, size):
        return rgb
    # Rounded, since 8-bit pictures arrive as fractions of 255.
    pictures = [to_pil(image, rounded=True) for image in bhwc_to_model(rgb)]
    return model_to_bhwc(torch.stack([to_tensor(picture, size) for picture in pictures]))
