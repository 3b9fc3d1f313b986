"""The first stage (VQGAN) as a VAE of the host."""
# pyright: reportMissingImports=false

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import comfy.ldm.modules.diffusionmodules.model
import comfy.model_management
import comfy.ops
import comfy.sd
import torch
from torch import Tensor

from ...refldm_core.checkpoints.building import ModelFiles, require_finite
from ...refldm_core.errors import ReferencesError, SettingsError
from ...refldm_core.model.attention import Attention, fused_attention
from ...refldm_core.model.layers import plain_layers
from ...refldm_core.model.precision import require_finite_values
from ...refldm_core.model.vqgan import FirstStage
from .memory import explained_memory_errors
from .patching import load_strictly, patcher_class

MemoryEstimate = Callable[[Sequence[int], torch.dtype], float]

_log = logging.getLogger(__name__)


class ReFLDMVAE(comfy.sd.VAE):
    """The first stage as a VAE of the host, in float32 unless a start flag of the host sets another type.

    Args:
        files: The files of the model.
        compute: Number type of the convolutions; None takes the host's type. The codebook is always float32.

    Attributes:
        refldm_spec: `ModelSpec` of the whole model.
        refldm_metadata: Metadata of the main model file.
    """

    _tiles_allowed = True

    def __init__(self, files: ModelFiles, compute: torch.dtype | None = None) -> None:
        spec, weights = files.spec, files.first_stage.parts.first_stage
        require_finite(weights, files.first_stage.file.path)
        management = comfy.model_management
        dtype = management.vae_dtype(management.vae_device(), [torch.float32])
        # This is the smallest VAE that the host builds. It sets the attributes that each version of the host expects.
        super().__init__(sd={"pixel_space_vae": torch.tensor(1.0)}, dtype=dtype)
        self.refldm_spec = spec
        self.refldm_metadata = dict(files.main.file.metadata)
        on_cpu = management.is_device_cpu(management.vae_device())
        operations = plain_layers if on_cpu else comfy.ops.disable_weight_init  # a CPU has nothing to move or to cast
        attention = fused_attention if on_cpu else _host_attention()
        self.first_stage_model = FirstStage(
            spec.first_stage, operations=operations, attention=attention, dtype=compute or dtype
        )
        self.first_stage_model.eval().quantize.float()
        if hasattr(management, "archive_model_dtypes"):
            management.archive_model_dtypes(self.first_stage_model)
        self.patcher = patcher_class()(
            self.first_stage_model, load_device=self.device, offload_device=management.vae_offload_device()
        )
        load_strictly(self.first_stage_model, weights, self.patcher)
        if on_cpu:
            # Convolutions on a CPU are fastest in this memory format.
            self.first_stage_model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.latent_channels = spec.first_stage.embed_dim
        self.downscale_ratio = self.upscale_ratio = spec.first_stage.downsampling
        self.output_channels = spec.first_stage.image_channels
        self.disable_offload = False
        self.size = None
        self.process_input = lambda image: image * 2.0 - 1.0
        self.memory_used_encode, self.memory_used_decode = memory_estimates(self.first_stage_model)

    def encode_joint(self, images: Tensor) -> Tensor:
        """Encode pictures side by side as one picture, never in tiles. The model was trained on such references.

        Args:
            images: (pictures, height, width, 3) in [0, 1].

        Returns:
            (pictures, c, h, w), the latent of each picture.

        Raises:
            ReferencesError: the memory is not enough to encode all pictures at once.
        """
        side_by_side = torch.cat(list(images), dim=1).unsqueeze(0)
        needed = self.memory_used_encode(side_by_side.movedim(-1, 1).shape, self.first_stage_model.dtype)
        self._tiles_allowed = False
        try:
            return torch.cat(self.encode(side_by_side).chunk(len(images), dim=-1))
        except _MustNotTile as error:
            raise ReferencesError(
                f"The memory is not enough to encode {len(images)} references jointly.",
                expected=f"about {needed / 2**20:.0f} MiB of free memory",
                remedy="set encoding to separate in Encode References, which needs the memory of one reference only, "
                "or connect fewer photos",
            ) from error
        finally:
            self._tiles_allowed = True

    def encode(self, *args: Any, **kwargs: Any) -> Tensor:
        with explained_memory_errors("encode one picture, also in tiles"):
            return super().encode(*args, **kwargs)

    def decode(self, samples_in: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        with explained_memory_errors("decode one picture, also in tiles"):
            pictures = super().decode(samples_in, *args, **kwargs)
        return _require_finite(samples_in, pictures)

    def decode_tiled(self, samples: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return _require_finite(samples, super().decode_tiled(samples, *args, **kwargs))

    def encode_tiled_(self, *args: Any, **kwargs: Any) -> Any:
        if not self._tiles_allowed:
            raise _MustNotTile
        _log.warning("ReF-LDM: %s", _TILED)
        return super().encode_tiled_(*args, **kwargs)

    def decode_tiled_(self, *args: Any, **kwargs: Any) -> Any:
        _log.warning("ReF-LDM: %s", _TILED)
        return super().decode_tiled_(*args, **kwargs)

    def fit_preview(self) -> tuple[Tensor, Tensor]:
        """Fit preview colors to latents by least squares, on a picture of smooth random colors.

        Returns:
            Factors (c, 3) and bias (3,): latents @ factors + bias are colors in [-1, 1].
        """
        side = min(128, self.refldm_spec.crop_size)
        noise = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
        picture = torch.nn.functional.interpolate(noise, (side, side), mode="bicubic").clamp(0.0, 1.0)
        latent = self.encode(picture.movedim(1, -1)).float().cpu()
        size = (latent.shape[-2], latent.shape[-1])
        colors = torch.nn.functional.adaptive_avg_pool2d(picture * 2.0 - 1.0, size)
        latent_and_one = torch.nn.functional.pad(latent.flatten(2)[0].T, (0, 1), value=1.0)
        solution = torch.linalg.lstsq(latent_and_one, colors.flatten(2)[0].T).solution
        return solution[:-1], solution[-1]


class _MustNotTile(Exception):
    """The host ran out of memory, but tiles would give latents that the model was not trained on."""


def _host_attention() -> Attention:
    """Return the attention that the host chooses for VAEs. The host avoids fused kernels that can fail on AMD GPUs."""
    attend = comfy.ldm.modules.diffusionmodules.model.vae_attention()

    def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
        assert bias is None
        # The host's function takes feature maps (batch, channels, height, width); the tokens become a map of height 1.
        maps = (t.squeeze(1).transpose(1, 2).unsqueeze(2).contiguous() for t in (q, k, v))
        return attend(*maps).squeeze(2).transpose(1, 2).unsqueeze(1)

    return attention


def memory_estimates(first_stage: FirstStage) -> tuple[MemoryEstimate, MemoryEstimate]:
    """Return the estimates of the memory that encoding and decoding one picture need.

    Each maps the shape and the type of a batch to bytes, which the host frees beforehand.
    """
    # The convolutions need workspace besides the tensors. The host takes a factor of 2.73 for AMD's, which need more.
    factor = 1.25 * (2.73 if comfy.model_management.is_amd() else 1.0)
    pixels_of_latent = first_stage.spec.downsampling**2

    def encode(shape: Sequence[int], dtype: torch.dtype) -> float:
        return factor * first_stage.memory_needed(shape[2] * shape[3])

    def decode(shape: Sequence[int], dtype: torch.dtype) -> float:
        return factor * first_stage.memory_needed(shape[2] * shape[3] * pixels_of_latent)

    return encode, decode


def _require_finite(latents: Tensor, pictures: Tensor) -> Tensor:
    """Return the pictures.

    Raises:
        NotFiniteError: the pictures or their latents have values that are NaN or infinite.
    """
    require_finite_values("restored pictures", latents, remedy=USE_FLOAT32)
    require_finite_values("decoded pictures", pictures, remedy=_USE_FLOAT32_VAE)
    return pictures


USE_FLOAT32 = (
    "choose float32 as dtype in the node Load ReF-LDM Model; if that is chosen already, remove LoRAs and download the "
    "model file again"
)
_USE_FLOAT32_VAE = "start ComfyUI with --fp32-vae; if that does not help, download the file of the first stage again"

_TILED = (
    "encoding or decoding in tiles gives a different picture, since this first stage looks at the whole picture at "
    "once. Use tiles only if the memory is not enough without them."
)


def require_vae(vae: Any) -> ReFLDMVAE:
    """Return the VAE if it is the first stage of a ReF-LDM model.

    Raises:
        SettingsError: it is another VAE.
    """
    if isinstance(vae, ReFLDMVAE):
        return vae
    raise SettingsError(
        "This VAE is not the first stage of a ReF-LDM model.",
        expected="the VAE output of the node Load ReF-LDM Model",
        remedy="connect that output",
    )
