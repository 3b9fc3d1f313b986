"""Write checkpoints in the published layout, which both the published script and this package load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from ..diffusion.schedule import NoiseSpec
from ..files import atomic_write
from ..model.variants import ModelSpec
from .layout import FIRST_STAGE_PREFIX, UNET_PREFIX, ema_name
from .saving import save_pickled
from .scale import SCALE_CONDITIONS


def save_refldm(
    folder: Path,
    spec: ModelSpec,
    unet: Mapping[str, Tensor],
    ema: Mapping[str, Tensor],
    first_stage: Mapping[str, Tensor],
    *,
    updates: int,
) -> Sequence[Path]:
    """Write refldm.ckpt (weights, their moving average, first stage, noise tables) and refldm.yaml.

    Args:
        folder: The folder to write to.
        spec: The spec of the model. The YAML holds the values that shapes do not tell.
        unet, ema, first_stage: The weights, under the names that the modules use.
        updates: Number of training steps. The published EMA copy stores it.

    Returns:
        The paths of the checkpoint and the config.

    Raises:
        OutputError: A file cannot be written.
    """
    tensors = {UNET_PREFIX + name: tensor for name, tensor in unet.items()}
    tensors |= {ema_name(name): tensor for name, tensor in ema.items()}
    tensors |= {
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(updates, dtype=torch.int32),
    }
    tensors |= {FIRST_STAGE_PREFIX + name: tensor for name, tensor in first_stage.items()}
    tensors |= noise_tables(spec.noise) | {"scale_factor": torch.tensor(spec.scale_factor)}
    if spec.scale_factor != 1.0:
        tensors[SCALE_CONDITIONS] = torch.tensor(True)
    checkpoint, config = folder / "refldm.ckpt", folder / "refldm.yaml"
    save_tensors(tensors, checkpoint)
    with atomic_write(config) as temporary:
        temporary.write_text(yaml.safe_dump(published_config(spec), sort_keys=False), encoding="utf-8")
    return checkpoint, config


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a flat state dict, as in the official files.

    Raises:
        OutputError: As for `save_pickled`.
    """
    # torch.save writes the whole storage of a view. A clone has only its own numbers.
    save_pickled({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, path)


def noise_tables(noise: NoiseSpec) -> dict[str, Tensor]:
    """Return the published buffers of the forward process and its posterior (DDPM, arXiv 2006.11239, eq. 4 and 7)."""
    betas = noise.betas
    alphas_cumprod = np.cumprod(1.0 - betas)
    previous = np.append(1.0, alphas_cumprod[:-1])
    variance = betas * (1.0 - previous) / (1.0 - alphas_cumprod)
    tables = {
        "betas": betas,
        "alphas_cumprod": alphas_cumprod,
        "alphas_cumprod_prev": previous,
        "sqrt_alphas_cumprod": np.sqrt(alphas_cumprod),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1.0 - alphas_cumprod),
        "log_one_minus_alphas_cumprod": np.log(1.0 - alphas_cumprod),
        "sqrt_recip_alphas_cumprod": np.sqrt(1.0 / alphas_cumprod),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1.0 / alphas_cumprod - 1.0),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.maximum(variance, 1e-20)),
        "posterior_mean_coef1": betas * np.sqrt(previous) / (1.0 - alphas_cumprod),
        "posterior_mean_coef2": (1.0 - previous) * np.sqrt(1.0 - betas) / (1.0 - alphas_cumprod),
    }
    return {name: torch.tensor(table, dtype=torch.float32) for name, table in tables.items()}


def published_config(spec: ModelSpec) -> dict[str, Any]:
    """Return the config from which the published code builds this model.

    With a scale factor other than 1, the config has a parameter that the published code refuses. That code would not
    scale the latents of LQ pictures and references, so its pictures would be wrong.
    """
    unet, first_stage = spec.unet, spec.first_stage
    unet_params = {
        "use_checkpoint": False,
        "image_size": spec.latent_size,
        "in_channels": unet.in_channels,
        "out_channels": unet.out_channels,
        "model_channels": unet.model_channels,
        "attention_resolutions": list(unet.attention_downsampling),
        "num_res_blocks": unet.num_res_blocks,
        "channel_mult": list(unet.channel_mult),
        "num_head_channels": unet.num_head_channels,
        "use_spatial_transformer": False,
    }
    shape = {
        "double_z": False,
        "z_channels": first_stage.z_channels,
        "resolution": spec.crop_size,
        "in_channels": first_stage.image_channels,
        "out_ch": first_stage.image_channels,
        "ch": first_stage.channels,
        "ch_mult": list(first_stage.channel_mult),
        "num_res_blocks": first_stage.num_res_blocks,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    first_stage_params = {
        "embed_dim": first_stage.embed_dim,
        "n_embed": first_stage.codebook_size,
        "ddconfig": shape,
        "lossconfig": {"target": "torch.nn.Identity"},
    }
    condition = {"uncond_prob": 0.1, "cond_model_config": "__is_first_stage__"}
    params = {
        "linear_start": spec.noise.linear_start,
        "linear_end": spec.noise.linear_end,
        "timesteps": spec.noise.timesteps,
        "loss_type": "l2",
        "image_size": spec.latent_size,
        "channels": unet.out_channels,
        "scale_factor": spec.scale_factor,
        "first_stage_key": "gt_image",
        "first_stage_config": {"target": "ldm.models.autoencoder.VQModelInterface", "params": first_stage_params},
        "cond_stage_config": [
            {"cond_stage_key": "lq_image", "conditioning_key": "concat", **condition},
            {"cond_stage_key": "ref_image", "conditioning_key": "cache_kv", **condition},
        ],
        "use_cache_kv": True,
        "unet_config": {"target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": unet_params},
    }
    if spec.scale_factor != 1.0:
        params[SCALE_CONDITIONS] = True
    return {"model": {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": params}}
