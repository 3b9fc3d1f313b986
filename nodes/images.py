"""Checks of IMAGE and MASK inputs before any work, since the nodes of other packs may send anything.

An IMAGE of a long video takes most of the memory. So pictures are converted one by one, in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import torch
from torch import Tensor

from ..refldm_core.errors import PictureError, shorten
from ..refldm_core.images import bhwc_to_model, model_to_bhwc

_REMEDY = "connect an IMAGE output, such as that of Load Image"


class ModelPictures(Sequence[Tensor]):
    """The pictures of an IMAGE, each converted to (3, height, width) in [-1, 1] when it is needed.

    Args:
        images: (batch, height, width, 3 or 4) in [0, 1].
    """

    def __init__(self, images: Tensor) -> None:
        self._images = images
        self._last: tuple[int, Tensor] | None = None  # the faces of a picture are cut out one after the other

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all pictures."""
        return self._images.shape[1], self._images.shape[2]

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> ModelPictures: ...

    def __getitem__(self, index: int | slice) -> Tensor | ModelPictures:
        if isinstance(index, slice):
            return ModelPictures(self._images[index])
        index = range(len(self))[index]  # also ends an iteration, by its IndexError
        if self._last is None or self._last[0] != index:
            self._last = index, bhwc_to_model(self._images[index : index + 1])[0]
        return self._last[1]


def to_images(pictures: Iterable[Tensor], count: int, size: tuple[int, int]) -> Tensor:
    """Return pictures (3, height, width) in [-1, 1] as an IMAGE (count, height, width, 3) on their device.

    Args:
        pictures: The pictures. An iterator need not have them all in memory.
        count: Number of pictures.
        size: Height and width of the pictures.
    """
    images = torch.empty(count, *size, 3)
    for i, picture in enumerate(pictures):
        if i == 0:
            images = images.to(picture.device)
        images[i] = model_to_bhwc(picture.unsqueeze(0))[0]
    return images


def require_images(images: Any, name: str) -> Tensor:
    """Check an IMAGE.

    Args:
        images: (batch, height, width, 3 or 4) floating-point values, usually in [0, 1]; the batch may be empty.
        name: Name of the node's input, for error messages.

    Returns:
        The same tensor.

    Raises:
        PictureError: it is not a tensor, has another layout, number of channels or type, or has values that are not
            finite.
    """
    expected = "an IMAGE: a tensor of shape (batch, height, width, 3 or 4) with values from 0 to 1"
    tensor = _require_tensor(images, name, expected)
    if tensor.ndim != 4 or 0 in tensor.shape[1:]:
        raise PictureError(f"{name} has the shape {tuple(tensor.shape)}.", expected=expected, remedy=_REMEDY)
    if tensor.shape[-1] not in (3, 4):
        channels = tensor.shape[-1]
        raise PictureError(
            f"{name} has {channels} channel{'s' * (channels != 1)}.",
            expected=expected,
            remedy="convert the pictures to RGB first; Convert Mask to Image makes RGB of a mask",
        )
    return _require_values(tensor, name, expected)


def require_mask(mask: Any, name: str) -> Tensor:
    """Check a MASK, (height, width) or (batch, height, width); see `require_images`."""
    expected = "a MASK: a tensor of shape (batch, height, width) with values from 0 to 1"
    tensor = _require_tensor(mask, name, expected)
    if tensor.ndim not in (2, 3) or 0 in tensor.shape[-2:]:
        raise PictureError(f"{name} has the shape {tuple(tensor.shape)}.", expected=expected, remedy=_REMEDY)
    return _require_values(tensor, name, expected)


def to_model(images: Any, name: str) -> ModelPictures:
    """Return the pictures of an IMAGE as (3, height, width) in [-1, 1].

    Raises:
        PictureError: `require_images` refuses it.
    """
    return ModelPictures(require_images(images, name))


def _require_tensor(value: Any, name: str, expected: str) -> Tensor:
    if isinstance(value, Tensor):
        return value
    description = "nothing" if value is None else f"a {type(value).__name__} ({shorten(value)})"
    raise PictureError(f"{name} is {description}.", expected=expected, remedy=_REMEDY)


def _require_values(tensor: Tensor, name: str, expected: str) -> Tensor:
    if not tensor.is_floating_point():
        raise PictureError(
            f"{name} has values of the type {str(tensor.dtype).removeprefix('torch.')}.",
            expected=expected,
            remedy="divide whole numbers from 0 to 255 by 255",
        )
    for number, picture in enumerate(tensor):
        # A finite sum proves that all values are finite, without a second tensor of the picture's size.
        if not picture.sum(dtype=torch.float64 if tensor.device.type == "cpu" else torch.float32).isfinite():
            if picture.isfinite().all():
                continue  # the values are so large that only their sum is not finite
            raise PictureError(
                f"{name} has values that are not finite (NaN or infinity), in picture {number + 1} of {len(tensor)}.",
                expected=expected,
                remedy="check the node that makes the pictures: a model or VAE in 16 bit may need 32 bit",
            )
    return tensor
