"""Check that a model's scale factor applies to every latent, as this project uses it.
In the published code (ref-ldm, ldm/models/diffusion/ddpm.py), `get_first_stage_encoding` scales the targets' latents.
`get_learned_conditioning` does not scale the latents of LQ pictures and references. The released models have the
factor 1, which makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import CheckpointError

SCALE_CONDITIONS = "scale_conditions"
"""Key of the config and name of a tensor. It says that the model was trained with scaled latents of LQ pictures and
references. The published code refuses a config with this key, so that it does not restore a wrong picture."""


def conditions_are_scaled(params: Mapping[str, Any], buffers: Mapping[str, Tensor]) -> bool:
    """Whether a checkpoint of the published layout comes from this project's trainer, which scales every latent.

    Args:
        params: The entry model.params of the config. Empty without a config.
        buffers: Tables of the noise schedule in the checkpoint.
    """
    if SCALE_CONDITIONS in params:
        return bool(params[SCALE_CONDITIONS])
    if SCALE_CONDITIONS in buffers:
        return bool(buffers[SCALE_CONDITIONS])
    # Earlier versions of the trainer wrote the factor into both files, without SCALE_CONDITIONS. The published code
    # stores the tensor only with scale_by_std.
    return "scale_factor" in params and "scale_factor" in buffers and not params.get("scale_by_std")


def require_equal_scales(config: Path, config_scale: float, file_scale: float) -> None:
    """Refuse a config and a checkpoint of different scale factors.

    Raises:
        CheckpointError: The factors differ. The message names both.
    """
    if not math.isclose(config_scale, file_scale, rel_tol=1e-5):  # the file stores a float32
        raise CheckpointError(
            f"The config {config} says scale_factor {config_scale:g}, the model file says {file_scale:g}.",
            expected="the config that the model was trained with",
            remedy="pass that config, or none for the official files",
        )


def require_scaled_conditions(path: Path, scale_factor: float, scaled: bool) -> None:
    """Refuse a model that was trained without scaling LQ pictures and references. It would restore wrong pictures.

    Args:
        path: Path of the model.
        scale_factor: The model's scale factor.
        scaled: The result of `conditions_are_scaled`.

    Raises:
        CheckpointError: The factor is not 1, and `scaled` is false.
    """
    if scale_factor != 1.0 and not scaled:
        raise CheckpointError(
            f"The model {path} has the scale factor {scale_factor:g}. The published code scales only the targets' "
            "latents, and no file says that this model was trained with scaled LQ pictures and references.",
            expected="a scale factor of 1, as the released models have, or a model of `refldm train`, which scales "
            "every latent",
            remedy="for a model of `refldm train`, pass the refldm.yaml of its run as --config, or convert it with "
            "that config (`refldm convert`); other models of this kind are not supported",
        )
