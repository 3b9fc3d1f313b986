"""The published layout: the part of the model that each tensor of a file belongs to, and the names of the EMA copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..errors import CheckpointError
from .scale import SCALE_CONDITIONS

Weights = Literal["ema", "raw"]

UNET_PREFIX = "model.diffusion_model."
FIRST_STAGE_PREFIX = "first_stage_model."
CODEBOOK = "quantize.embedding.weight"
"""Name of the first stage's codebook. It always stays float32: after rounding, another entry could be the nearest."""
_EMA_PREFIX = "model_ema."
_BARE_FIRST_STAGE = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
_IGNORED_PREFIXES = (
    "cond_stage_model.",  # two more copies of the first stage, which encode the LQ image and the references
    "perceptual_loss.",  # the recognizer of the identity loss
    "loss.",  # the first stage's discriminator and LPIPS
)
_SCHEDULE_BUFFERS = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "lvlb_weights",
    "logvar",
    "scale_factor",
    SCALE_CONDITIONS,
)


@dataclass(frozen=True)
class Parts:
    """A file's tensors by part of the model, under the names that the modules use.

    Attributes:
        unet: The U-Net's raw weights, as trained.
        unet_ema: The moving average of the U-Net's weights. Empty where the file has none.
        first_stage: The first stage. Empty where the file has none.
        buffers: The tables of the noise schedule.
        ignored: Prefix -> number of known tensors that restoring does not need.
        unknown: Names of tensors that belong to no known part.
    """

    unet: Mapping[str, Tensor]
    unet_ema: Mapping[str, Tensor]
    first_stage: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    ignored: Mapping[str, int]
    unknown: tuple[str, ...]

    def unet_weights(self, prefer: Weights) -> tuple[Weights, Mapping[str, Tensor]]:
        """Return which copy of the U-Net's weights to use, and its tensors.

        Args:
            prefer: "ema" chooses the EMA copy, or the raw weights where the file has no EMA copy.
        """
        return ("ema", self.unet_ema) if prefer == "ema" and self.unet_ema else ("raw", self.unet)


def sort_tensors(tensors: Mapping[str, Tensor]) -> Parts:
    """Sort a file's tensors by part of the model.

    Raises:
        CheckpointError: The EMA copy lacks tensors of the U-Net.
    """
    unet = _with_prefix(UNET_PREFIX, tensors)
    first_stage = _with_prefix(FIRST_STAGE_PREFIX, tensors)
    if not first_stage and not unet:
        first_stage = {n: t for n, t in tensors.items() if n.startswith(_BARE_FIRST_STAGE)}
    used = {UNET_PREFIX + n for n in unet} | {FIRST_STAGE_PREFIX + n for n in first_stage} | set(first_stage)
    ignored: dict[str, int] = {}
    unknown: list[str] = []
    for name in tensors:
        if name in used or name in _SCHEDULE_BUFFERS or name.startswith(_EMA_PREFIX):
            continue
        prefix = next((p for p in _IGNORED_PREFIXES if name.startswith(p)), None)
        if prefix is None:
            unknown.append(name)
        else:
            ignored[prefix] = ignored.get(prefix, 0) + 1
    return Parts(
        unet=unet,
        unet_ema=_find_ema(unet, tensors),
        first_stage=first_stage,
        buffers={n: tensors[n] for n in _SCHEDULE_BUFFERS if n in tensors},
        ignored=ignored,
        unknown=tuple(unknown),
    )


def ema_name(name: str) -> str:
    """Return the name of a U-Net tensor's EMA copy. It has no dots, since the name of a buffer cannot have any."""
    return _EMA_PREFIX + f"diffusion_model.{name}".replace(".", "")


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names have a prefix, under the names without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _find_ema(unet: Iterable[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    ema = {name: tensors[ema_name(name)] for name in unet if ema_name(name) in tensors}
    missing = [name for name in unet if name not in ema]
    if ema and missing:
        raise CheckpointError(
            f"The EMA copy of the U-Net lacks {len(missing)} of its tensors (the first: {ema_name(missing[0])}).",
            expected="an EMA copy of every tensor, or no EMA copy",
            remedy="get the file again, or write it again with the trainer",
        )
    return ema
