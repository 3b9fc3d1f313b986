"""Pictures of any size -> crops of the model's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..refldm_core.errors import ReferencesError
from ..refldm_core.images import bhwc_to_model, model_to_bhwc, to_pil, to_tensor
from .images import require_images


def fit(images: Tensor, size: int, name: str) -> Tensor:
    """IMAGE (batch, height, width, 3 or 4) in [0, 1] -> (batch, size, size, 3); errors as `require_images`.

    Another size is resized as the published inference does it, which its numbers depend on; crops of the right size
    stay as they are.
    """
    rgb = require_images(images, name)[..., :3].float()
    if rgb.shape[1:3] == (size, size):
        return rgb
    if not len(rgb):
        return rgb.new_zeros(0, size, size, 3)
    # Rounded, since 8-bit pictures arrive as fractions of 255.
    pictures = [to_pil(image, rounded=True) for image in bhwc_to_model(rgb)]
    return model_to_bhwc(torch.stack([to_tensor(picture, size) for picture in pictures]))


def reference_crops(images: Mapping[str, Tensor], size: int) -> Tensor:
    """Reference photos -> crops (references, size, size, 3), in the order of the inputs.

    Args:
        images: an IMAGE for each input of the node, by the input's name.
        size: of the model's crops.

    Raises:
        PictureError: as `require_images`.
        ReferencesError: no crop at all.
    """
    crops = torch.cat([fit(images[name], size, name) for name in sorted(images)])
    if not len(crops):
        raise ReferencesError(
            "There are no reference photos: the batch is empty.",
            expected="one photo of the person or more",
            remedy="check what Select References or Detect Faces dropped, and why; without references, leave the "
            "sampler's input open",
        )
    return crops
