"""The first stage as a VAE."""
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
from typing import Any

import comfy.model_management
import comfy.ops
import comfy.sd
import torch
from torch import Tensor

from ...refldm_core.checkpoints.building import ModelFiles, require_finite
from ...refldm_core.errors import SettingsError
from ...refldm_core.model.layers import plain_layers
from ...refldm_core.model.vqgan import FirstStage
from .patching import load_strictly, patcher_class

_log = logging.getLogger(__name__)


class ReFLDMVAE(comfy.sd.VAE):
    """The first stage in the host's VAE, in float32 unless a flag of the host says otherwise.

    Args:
        files: of the model.
        compute: type of the convolutions where it is another; the codebook stays in the host's.

    Attributes:
        refldm_spec: of the whole model.
    """

    def __init__(self, files: ModelFiles, compute: torch.dtype | None = None) -> None:
        spec, weights = files.spec, files.first_stage.parts.first_stage
        require_finite(weights, files.first_stage.file.path)
        management = comfy.model_management
        dtype = management.vae_dtype(management.vae_device(), [torch.float32])
        # The smallest VAE that the host builds: fills in the attributes that each version expects.
        super().__init__(sd={"pixel_space_vae": torch.tensor(1.0)}, dtype=dtype)
        self.refldm_spec = spec
        on_cpu = management.is_device_cpu(management.vae_device())
        operations = plain_layers if on_cpu else comfy.ops.disable_weight_init  # nothing to move or to cast there
        self.first_stage_model = FirstStage(spec.first_stage, operations=operations, dtype=compute or dtype)
        self.first_stage_model.eval().quantize.float()
        if hasattr(management, "archive_model_dtypes"):
            management.archive_model_dtypes(self.first_stage_model)
        self.patcher = patcher_class()(
            self.first_stage_model, load_device=self.device, offload_device=management.vae_offload_device()
        )
        load_strictly(self.first_stage_model, weights, self.patcher)
        if on_cpu:
            # What the CPU's convolutions are fastest in.
            self.first_stage_model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.latent_channels = spec.first_stage.embed_dim
        self.downscale_ratio = self.upscale_ratio = spec.first_stage.downsampling
        self.output_channels = spec.first_stage.image_channels
        self.disable_offload = False
        self.size = None
        self.process_input = lambda image: image * 2.0 - 1.0
        # Bytes a pixel and channel width of the host's AutoencoderKL, which works at 128 channels at full size too.
        width = spec.first_stage.channels / 128
        pixels = self.upscale_ratio**2
        self.memory_used_encode = lambda shape, dtype: 1767 * width * shape[2] * shape[3] * management.dtype_size(dtype)
        self.memory_used_decode = lambda shape, dtype: (
            2178 * width * shape[2] * shape[3] * pixels * management.dtype_size(dtype)
        )

    def encode_tiled_(self, *args: Any, **kwargs: Any) -> Any:
        _log.warning("ReF-LDM: %s", _TILED)
        return super().encode_tiled_(*args, **kwargs)

    def decode_tiled_(self, *args: Any, **kwargs: Any) -> Any:
        _log.warning("ReF-LDM: %s", _TILED)
        return super().decode_tiled_(*args, **kwargs)

    def fit_preview(self) -> tuple[Tensor, Tensor]:
        """Least squares from latents to colours, on smooth random colours: (3, c)-transposed factors and (3,) bias."""
        side = min(128, self.refldm_spec.crop_size)
        noise = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
        picture = torch.nn.functional.interpolate(noise, (side, side), mode="bicubic").clamp(0.0, 1.0)
        latent = self.encode(picture.movedim(1, -1)).float().cpu()
        colours = torch.nn.functional.adaptive_avg_pool2d(picture * 2.0 - 1.0, latent.shape[-2:])
        known = torch.nn.functional.pad(latent.flatten(2)[0].T, (0, 1), value=1.0)
        fitted = torch.linalg.lstsq(known, colours.flatten(2)[0].T).solution
        return fitted[:-1], fitted[-1]


_TILED = (
    "encoding or decoding in tiles gives a different picture, since this first stage looks at the whole picture at "
    "once. Use it only where the memory is not enough otherwise."
)


def require_vae(vae: Any) -> ReFLDMVAE:
    """Raises: SettingsError: a VAE that is not ReF-LDM's first stage."""
    if isinstance(vae, ReFLDMVAE):
        return vae
    raise SettingsError(
        "This VAE is not the first stage of a ReF-LDM model.",
        expected="the VAE output of the node Load ReF-LDM Model",
        remedy="connect that output",
    )
