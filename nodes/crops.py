"""Crops of faces: cutting them out, and resizing pictures to crops of the model's size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ..refldm_core.errors import ReferencesError
from ..refldm_core.face.alignment import align
from ..refldm_core.face.types import Faces
from ..refldm_core.images import bhwc_to_model, model_to_bhwc, to_pil, to_tensor
from .images import require_images, to_images


def aligned_crops(pictures: Sequence[Tensor], faces: Faces, size: int) -> Tensor:
    """Cut all faces out of their pictures, as an IMAGE (faces, size, size, 3).

    Args:
        pictures: (3, height, width) in [-1, 1] each.
        faces: The faces of these pictures, with transforms of this size.
        size: Side of the crops in pixels.
    """
    return to_images(crops_of(pictures, faces), len(faces), (size, size))


def crops_of(pictures: Sequence[Tensor], faces: Faces, size: int | None = None) -> Iterator[Tensor]:
    """Yield the crop (3, size, size) in [-1, 1] of each face.

    Args:
        pictures: (3, height, width) in [-1, 1] each, which may be enlarged.
        faces: The faces of these pictures.
        size: Side of the crops in pixels. None for the size of the faces' transforms.
    """
    for item, transform in zip(faces.faces, faces.transforms, strict=True):
        picture = pictures[item.frame]
        placed = transform.for_image((picture.shape[-2], picture.shape[-1]))
        yield align(picture, placed if size is None else placed.resized(size))


def fit(images: Tensor, size: int, name: str) -> Tensor:
    """Resize an IMAGE to the size of the model's crops.

    Pictures of another size are resized as in the published inference code, since the published results depend on it.
    Crops of the right size stay as they are.

    Args:
        images: (batch, height, width, 3 or 4) in [0, 1]; a fourth channel is dropped.
        size: Side of the model's crops in pixels.
        name: Name of the node's input, for error messages.

    Returns:
        (batch, size, size, 3) in [0, 1].

    Raises:
        PictureError: `require_images` refuses the pictures.
    """
    rgb = require_images(images, name)[..., :3].float()
    if rgb.shape[1:3] == (size, size):
        return rgb
    if not len(rgb):
        return rgb.new_zeros(0, size, size, 3)
    # The values are rounded, since 8-bit pictures arrive as fractions of 255.
    pictures = [to_pil(image, rounded=True) for image in bhwc_to_model(rgb)]
    return model_to_bhwc(torch.stack([to_tensor(picture, size) for picture in pictures]))


def reference_crops(images: Mapping[str, Tensor], size: int) -> Tensor:
    """Return reference photos as crops (references, size, size, 3) in [0, 1], sorted by the names of the inputs.

    Args:
        images: An IMAGE for each input of the node, by the name of the input.
        size: Side of the model's crops in pixels.

    Raises:
        PictureError: `require_images` refuses an IMAGE.
        ReferencesError: there is no photo.
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
