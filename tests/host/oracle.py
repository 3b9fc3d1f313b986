"""Restore pictures with the core alone, and compare the pictures of a host with the results."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refldm_core.images import tensor_to_u8
from refldm_core.pipeline import ReferenceEncoding, Restorer, SamplingSettings
from refldm_core.progress import Step

GRAY_LEVELS = 2
"""Largest allowed difference in float32. The host adds in another order, and both truncate to 8 bits."""


def restore(
    core: Restorer,
    face: Tensor,
    references: Sequence[Tensor] = (),
    settings: SamplingSettings | None = None,
    encoding: ReferenceEncoding = "joint",
) -> NDArray[np.uint8]:
    """Restore one face, and return it as (height, width, 3)."""
    kv = core.encode_references(torch.stack(list(references)), encoding) if references else None
    return to_u8(core.restore(face.unsqueeze(0), kv, [2024], settings))


def to_u8(restored: Tensor) -> NDArray[np.uint8]:
    return tensor_to_u8(restored[0]).movedim(0, -1).numpy()


def final_latents(
    core: Restorer, face: Tensor, references: Sequence[Tensor], settings: SamplingSettings
) -> tuple[Tensor, Tensor]:
    """Return the latent at which sampling ends, and the clean latent x_0 that the last step predicts."""
    steps: list[Step] = []
    kv = core.encode_references(torch.stack(list(references)))
    end = core.sample(core.encode(face.unsqueeze(0)), kv, [2024], settings, steps.append)
    return end, steps[-1].x_0


def with_lora(core: Restorer, lora: dict[str, Tensor], strength: float) -> Restorer:
    """Return a copy of the core whose weights include the LoRA."""
    unet = copy.deepcopy(core.unet)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            if f"{key}.lora_up.weight" in lora:
                up, down = (lora[f"{key}.lora_{part}.weight"].flatten(1) for part in ("up", "down"))
                parameter.add_(strength * (up @ down).reshape(parameter.shape))
    return Restorer(unet, core.first_stage, core.spec)


def assert_same(picture: NDArray[np.uint8], expected: NDArray[np.uint8], levels: int = GRAY_LEVELS) -> None:
    assert picture.shape == expected.shape
    difference = int(np.abs(picture.astype(int) - expected.astype(int)).max())
    assert difference <= levels, f"pictures differ by {difference} gray levels"


def mean_difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the mean absolute difference in gray levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())
