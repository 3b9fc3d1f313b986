"""Loading model files as MODEL and VAE."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.cli_args
import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from ...refldm_core.checkpoints.building import ModelFiles, inspect_model, require_finite
from ...refldm_core.model.layers import plain_layers
from ...refldm_core.model.precision import has_fast_bfloat16
from .first_stage import ReFLDMVAE
from .model import ReFLDMConfig
from .patching import load_strictly, patcher_class

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def load_model(path: Path, first_stage_path: Path | None, dtype: str) -> tuple[Any, ReFLDMVAE]:
    """Load model files as a MODEL and a VAE.

    Args:
        path, first_stage_path: The files, as the core's `inspect_model` takes them.
        dtype: Number type of the U-Net's weights: a key of `DTYPES`, or "auto" for the host's choice and its flags.

    Raises:
        CheckpointError: `inspect_model` refuses the files, or weights are not finite.
    """
    files = inspect_model(path, first_stage_path)
    vae = ReFLDMVAE(files, _first_stage_type(dtype))
    patcher = _build_patcher(files, dtype)
    patcher.cached_patcher_init = (load_unet, (path, first_stage_path, dtype))
    patcher.model.latent_format.fit_preview = vae.fit_preview
    return patcher, vae


def load_unet(path: Path, first_stage_path: Path | None, dtype: str, disable_dynamic: bool = False) -> Any:
    """Load the MODEL without the VAE. Newer hosts call this when they need another copy of the MODEL."""
    return _build_patcher(inspect_model(path, first_stage_path), dtype, disable_dynamic)


def _build_patcher(files: ModelFiles, dtype: str, disable_dynamic: bool = False) -> Any:
    management = comfy.model_management
    _, weights = files.main.unet_weights("ema")
    require_finite(weights, files.main.file.path)
    device = management.get_torch_device()
    config = ReFLDMConfig(files.spec)
    storage, manual_cast = _types(dtype, weights, device, config.supported_inference_dtypes)
    config.set_inference_dtype(storage, manual_cast)
    if management.is_device_cpu(device) and manual_cast is None:
        # Nothing has to be moved or cast on a CPU, and the core's own layers are faster.
        config.custom_operations = plain_layers
    model = config.get_model(weights)
    patcher = patcher_class(disable_dynamic)(model, load_device=device, offload_device=management.unet_offload_device())
    load_strictly(model.diffusion_model, weights, patcher)
    if _computes_on_cpu_in_bfloat16(model.compute_dtype, device):
        model.diffusion_model.to(memory_format=torch.channels_last)  # the format in which these convolutions work
    model.diffusion_model.fingerprint = files.main.fingerprint(weights)
    return patcher


def _types(
    dtype: str, weights: Mapping[str, Tensor], device: torch.device, supported: list[torch.dtype]
) -> tuple[torch.dtype, torch.dtype | None]:
    """Return the number type of the weights, and the type to compute in (None for the same)."""
    management, flags = comfy.model_management, comfy.cli_args.args
    storage = DTYPES.get(dtype) or management.unet_dtype(
        device=device,
        model_params=sum(tensor.numel() for tensor in weights.values()),
        supported_dtypes=supported,
        weight_dtype=comfy.utils.weight_dtype(dict(weights)),
    )
    if dtype == "auto" and storage == torch.float32 and not (flags.fp32_unet or flags.force_fp32):
        # The host chooses float32 on every CPU, even where bfloat16 is faster.
        fast = torch.bfloat16 in supported and _computes_on_cpu_in_bfloat16(torch.bfloat16, device)
        storage = torch.bfloat16 if fast else storage
    if _computes_on_cpu_in_bfloat16(storage, device):
        return storage, None
    return storage, management.unet_manual_cast(storage, device, supported)


def _first_stage_type(dtype: str) -> torch.dtype | None:
    """Return the first stage's number type: bfloat16 on a CPU that multiplies in it, None for the host's choice."""
    flags = comfy.cli_args.args
    allowed = dtype == "bfloat16" or (dtype == "auto" and not (flags.fp32_vae or flags.fp16_vae))
    on_cpu = _computes_on_cpu_in_bfloat16(torch.bfloat16, comfy.model_management.vae_device())
    return torch.bfloat16 if allowed and on_cpu else None


def _computes_on_cpu_in_bfloat16(dtype: torch.dtype, device: torch.device) -> bool:
    return dtype == torch.bfloat16 and comfy.model_management.is_device_cpu(device) and has_fast_bfloat16()
