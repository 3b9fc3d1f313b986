"""What a model's scale factor applies to: every latent here, the targets alone in the published code.

In the published code (ref-ldm, ldm/models/diffusion/ddpm.py), `get_first_stage_encoding` scales the targets, and
`get_learned_conditioning` leaves the latents of LQ pictures and references as the first stage encodes them. With the
released factor of 1 there is no difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import CheckpointError

SCALE_CONDITIONS = "scale_conditions"
"""Key of the config and name of a tensor: the model was trained with scaled LQ pictures and references. The published
code knows no such parameter, and refuses the config instead of restoring a wrong picture."""


def conditions_are_scaled(params: Mapping[str, Any], buffers: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint of the published layout comes from this project's trainer, which scales every latent.

    Args:
        params: model.params of the config; empty without a config.
        buffers: schedule tables in the checkpoint.
    """
    if SCALE_CONDITIONS in params:
        return bool(params[SCALE_CONDITIONS])
    if SCALE_CONDITIONS in buffers:
        return bool(buffers[SCALE_CONDITIONS])
    # Earlier versions of the trainer wrote the factor into both files without saying so. The published code stores the
    # tensor with scale_by_std alone.
    return "scale_factor" in params and "scale_factor" in buffers and not params.get("scale_by_std")


def require_one_scale(config: Path, in_config: float, in_file: float) -> None:
    """Refuse a config and a checkpoint of different scale factors.

    Raises:
        CheckpointError: naming the factors.
    """
    if not math.isclose(in_config, in_file, rel_tol=1e-5):  # the file's is a float32
        raise CheckpointError(
            f"The config {config} says scale_factor {in_config:g}, the model file says {in_file:g}.",
            expected="the config that the model was trained with",
            remedy="pass that config, or none for the official files",
        )


def require_scaled_conditions(path: Path, scale_factor: float, scaled: bool) -> None:
    """Refuse a model whose LQ pictures and references were not scaled in training: it would restore wrong pictures.

    Args:
        path: of the model.
        scale_factor: of its latents.
        scaled: as `conditions_are_scaled` says it.

    Raises:
        CheckpointError: a factor other than 1 that nothing says to apply to every latent.
    """
    if scale_factor != 1.0 and not scaled:
        raise CheckpointError(
            f"The model {path} has the scale factor {scale_factor:g}. The published code scales the targets' latents "
            "alone, and nothing says that LQ pictures and references were scaled too when this model was trained.",
            expected="a scale factor of 1, as the released models have, or a model of `refldm train`, which scales "
            "every latent",
            remedy="for a model of `refldm train`, pass the refldm.yaml of its run as --config, or convert it with "
            "that config (`refldm convert`); other models of this kind are not supported",
        )
