"""The same restorations without a host, and how close pictures must be to them."""

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
"""Largest difference in float32: another order of the same sums, then truncation to 8 bits."""


def restore(
    core: Restorer,
    face: Tensor,
    references: Sequence[Tensor] = (),
    settings: SamplingSettings | None = None,
    encoding: ReferenceEncoding = "joint",
) -> NDArray[np.uint8]:
    """One face: (height, width, 3)."""
    kv = core.encode_references(torch.stack(list(references)), encoding) if references else None
    return to_u8(core.restore(face.unsqueeze(0), kv, [2024], settings))


def to_u8(restored: Tensor) -> NDArray[np.uint8]:
    return tensor_to_u8(restored[0]).movedim(0, -1).numpy()


def last_clean_latent(
    core: Restorer, face: Tensor, references: Sequence[Tensor], settings: SamplingSettings
) -> tuple[Tensor, Tensor]:
    """The latent that sampling ends at, and the clean one predicted in the last step."""
    seen: list[Step] = []
    kv = core.encode_references(torch.stack(list(references)))
    end = core.sample(core.encode(face.unsqueeze(0)), kv, [2024], settings, seen.append)
    return end, seen[-1].x_0


def with_lora(core: Restorer, lora: dict[str, Tensor], strength: float) -> Restorer:
    """A copy of the core with the LoRA's products added to its weights."""
    unet = copy.deepcopy(core.unet)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            if f"{key}.lora_up.weight" in lora:
                up, down = (lora[f"{key}.lora_{part}.weight"].flatten(1) for part in ("up", "down"))
                parameter.add_(strength * (up @ down).reshape(parameter.shape))
    return Restorer(unet, core.first_stage, core.spec)


def assert_same(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], levels: int = GRAY_LEVELS) -> None:
    assert ours.shape == theirs.shape
    difference = int(np.abs(ours.astype(int) - theirs.astype(int)).max())
    assert difference <= levels, f"pictures differ by {difference} gray levels"


def differ(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
    """Mean difference in gray levels."""
    return float(np.abs(ours.astype(float) - theirs.astype(float)).mean())
