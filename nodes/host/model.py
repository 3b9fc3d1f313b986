"""The U-Net as a MODEL: what the host samples, and how references travel in its conditioning."""
# pyright: reportMissingImports=false

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import comfy.conds
import comfy.latent_formats
import comfy.ldm.modules.attention
import comfy.model_base
import comfy.model_management
import comfy.model_sampling
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ...refldm_core.errors import SettingsError
from ...refldm_core.model.attention import fused_attention, key_mask
from ...refldm_core.model.fingerprint import fingerprint
from ...refldm_core.model.reference import ReferenceKV
from ...refldm_core.model.unet import UNet, UNetSpec
from ...refldm_core.model.variants import ModelSpec
from ..types import ReferenceSet, patched

# Keys of a CONDITIONING entry that `ReFLDMModel.extra_conds` reads.
REFERENCES_KEY = "refldm_references"
NULL_KEY = "refldm_null"
STRENGTH_KEY = "refldm_reference_strength"
LQ_KEY = "concat_latent_image"


class ReferenceBatch:
    """References of each image of a batch, as the U-Net gets them; no list and no tensor, which the host would cast."""

    def __init__(self, sets: tuple[ReferenceKV | None, ...]) -> None:
        self.sets = sets

    def to(self, device: torch.device) -> ReferenceBatch:
        return ReferenceBatch(tuple(None if kv is None else kv.to(device) for kv in self.sets))


class CondReferences(comfy.conds.CONDRegular):
    """References in the host's conditioning, which batches branches with different numbers of them."""

    cond: tuple[ReferenceKV | None, ...]

    def process_cond(self, batch_size: int, **_: Any) -> CondReferences:
        repeats = -(-batch_size // len(self.cond))
        return CondReferences((self.cond * repeats)[:batch_size])

    def can_concat(self, other: Any) -> bool:
        return isinstance(other, CondReferences)

    def concat(self, others: Sequence[CondReferences]) -> ReferenceBatch:
        return ReferenceBatch(sum((other.cond for other in others), self.cond))

    def size(self) -> list[int]:
        return [sum(_numel(kv) for kv in {id(kv): kv for kv in self.cond if kv is not None}.values())]


def _numel(kv: ReferenceKV) -> int:
    return sum(layer.k.numel() + layer.v.numel() for layer in kv.layers.values())


class HostUNet(UNet):
    """The core's U-Net with the host's layers, attention and calling convention."""

    def __init__(self, spec: UNetSpec, device: Any = None, dtype: torch.dtype | None = None, operations: Any = None):
        super().__init__(spec, operations=operations, attention=_host_attention, device=device, dtype=dtype)
        self.dtype = dtype

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Tensor, timesteps: Tensor, references: ReferenceBatch | None = None, **_: Any
    ) -> Tensor:
        return super().forward(x, timesteps, None if references is None else references.sets)


def _host_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    if q.device.type == "cpu":  # there the host has nothing faster
        return fused_attention(q, k, v, bias)
    attention = comfy.ldm.modules.attention
    if bias is None:
        return attention.optimized_attention(q, k, v, q.shape[1], skip_reshape=True, skip_output_reshape=True)
    # Some attention functions that a user can choose (SageAttention in some versions) silently ignore a mask.
    mask = key_mask(bias, q)
    return attention.attention_pytorch(q, k, v, q.shape[1], mask=mask, skip_reshape=True, skip_output_reshape=True)


class PublishedEnd(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    """The host's noise levels, with the published end where sampling stops at the cleanest level instead of at 0.

    There x = sqrt(alpha_bar_0) (x_0 + sigma_min eps), and the published code decodes that x as it is.
    """

    def inverse_noise_scaling(self, sigma: Tensor, latent: Tensor) -> Tensor:
        # Not above sigma_min: what a first of two samplers leaves unfinished must stay as it is.
        return latent / (1.0 + sigma**2) ** 0.5 if sigma <= self.sigma_min else latent


class ReFLDMLatent(comfy.latent_formats.LatentFormat):
    """Latents of a first stage, with preview colors fitted to it when a preview is first asked for."""

    def __init__(self) -> None:
        self.fit_preview: Callable[[], tuple[Tensor, Tensor]] | None = None
        self._colors: tuple[list[list[float]], list[float]] | None = None

    def describe(self, spec: ModelSpec) -> None:
        self.scale_factor = spec.scale_factor
        self.latent_channels = spec.first_stage.embed_dim
        self.spacial_downscale_ratio = spec.first_stage.downsampling

    @property
    def latent_rgb_factors(self) -> list[list[float]] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._fitted()[0] if self.fit_preview else None

    @property
    def latent_rgb_factors_bias(self) -> list[float] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._fitted()[1] if self.fit_preview else None

    def _fitted(self) -> tuple[list[list[float]], list[float]]:
        if self._colors is None:
            assert self.fit_preview is not None
            factors, bias = self.fit_preview()
            self._colors = ((factors / self.scale_factor).tolist(), bias.tolist())
        return self._colors


class ReFLDMConfig(comfy.supported_models_base.BASE):
    """What the host must know of a model before it builds it."""

    unet_extra_config: dict[str, Any] = {}  # noqa: RUF012  # the host's class attribute
    latent_format = ReFLDMLatent
    memory_usage_factor = 1.0  # that of SD 1.5, whose U-Net is wider: rather too much than too little

    def __init__(self, spec: ModelSpec) -> None:
        # One nested value: the host takes flat keys such as num_res_blocks for those of its own U-Net.
        super().__init__({"spec": spec.unet})
        self.refldm_spec = spec
        self.latent_format.describe(spec)  # pyright: ignore[reportCallIssue]  # the host made an instance of it
        self.sampling_settings = {
            "linear_start": spec.noise.linear_start,
            "linear_end": spec.noise.linear_end,
            "timesteps": spec.noise.timesteps,
        }

    def get_model(self, state_dict: Any, prefix: str = "", device: Any = None) -> ReFLDMModel:
        return ReFLDMModel(self, device)


class ReFLDMModel(comfy.model_base.BaseModel):
    """ReF-LDM as the host samples it: eps-prediction with the LQ latent and references in the conditioning."""

    def __init__(self, config: ReFLDMConfig, device: Any = None) -> None:
        super().__init__(config, comfy.model_base.ModelType.EPS, device=device, unet_model=HostUNet)
        self.diffusion_model.eval().requires_grad_(False)
        self.spec = config.refldm_spec
        self.concat_keys = ("concat_image",)
        self.model_sampling = PublishedEnd(config)
        self._null: ReferenceKV | None = None

    @property
    def compute_dtype(self) -> torch.dtype:
        return self.manual_cast_dtype or self.get_dtype()

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        if kwargs.get(LQ_KEY) is None:
            raise SettingsError(
                "This conditioning has no picture to restore.",
                expected="positive and negative from the node ReF-LDM Conditioning",
                remedy="connect that node's outputs to the sampler or guider",
            )
        conds = super().extra_conds(**kwargs)
        conds.pop("c_crossattn", None)  # the conditioning's tensor, which this model has no use for
        noise: Tensor = kwargs["noise"]
        people: tuple[ReferenceSet | None, ...] = kwargs.get(REFERENCES_KEY) or (None,)
        # As concat_cond spreads the pictures over the latents, so that each keeps its own person.
        order = comfy.utils.resize_to_batch_size(torch.arange(kwargs[LQ_KEY].shape[0]), noise.shape[0]).tolist()
        ready = {
            id(person): self._keys_values(
                person, kwargs.get(NULL_KEY, False), kwargs["device"], noise, kwargs.get(STRENGTH_KEY, 1.0)
            )
            for person in people
        }
        conds["references"] = CondReferences(tuple(ready[id(people[i % len(people)])] for i in order))
        return conds

    def extra_conds_shapes(self, **kwargs: Any) -> dict[str, list[int]]:
        people = kwargs.get(REFERENCES_KEY) or ()
        return {"references": [sum(_numel(person.kv) for person in people if person is not None)]}

    def memory_required(self, input_shape: Sequence[int], cond_shapes: Mapping[str, Any] = {}) -> float:
        # Not by memory_usage_factor_conds, which would count the keys and values as pixels of the latent.
        stored = sum(size[0] for size in cond_shapes.get("references", ()))
        return super().memory_required(input_shape) + stored * comfy.model_management.dtype_size(self.compute_dtype)

    def encode_references(self, latents: Tensor, device: torch.device) -> ReferenceKV:
        """Latents on any device -> keys and values off the accelerator, made by the weights as they are patched now."""
        kv = self.diffusion_model.encode_references(latents.to(device, self.compute_dtype))
        kv = kv.to(comfy.model_management.intermediate_device())
        return replace(kv, fingerprint=fingerprint_of(self.current_patcher))

    def _keys_values(
        self, person: ReferenceSet | None, null: bool, device: torch.device, noise: Tensor, strength: float
    ) -> ReferenceKV | None:
        """One person's references (or as many null references) on the device, for one sampling."""
        if person is None or strength == 0.0:
            return None
        size = (noise.shape[-2], noise.shape[-1])
        weights = fingerprint_of(self.current_patcher)
        person.kv.require_fit(person.kv.fingerprint, size)
        kv = person.for_weights(weights, lambda latents: self.encode_references(latents, device))
        if null:
            kv = self._null_reference(weights, size, device).repeat(kv.count)
        # The U-Net knows its own weights' name alone; that of the patches was checked above.
        kv = replace(kv.to(device, self.compute_dtype), fingerprint=self.diffusion_model.fingerprint)
        return kv.with_strength(strength)

    def _null_reference(self, weights: str, size: tuple[int, int], device: torch.device) -> ReferenceKV:
        kept = self._null
        if kept is None or (kept.fingerprint, kept.latent_size) != (weights, size):
            kept = self.encode_references(torch.zeros(1, self.spec.unet.out_channels, *size), device)
            self._null = kept
        return kept


def fingerprint_of(model: Any) -> str:
    """Names the weights of a MODEL, patches (LoRA, merges) included: the same in every session."""
    if not model.patches:
        return model.model.diffusion_model.fingerprint
    digest = hashlib.sha256()
    for key in sorted(model.patches, key=str):
        digest.update(f"{key}\n".encode())
        _digest(model.patches[key], digest.update)
    return patched(model.model.diffusion_model.fingerprint, digest.hexdigest()[:16])


def _digest(value: Any, update: Callable[[bytes], None]) -> None:
    if isinstance(value, Tensor):
        update(fingerprint({"": value}).encode())
    elif isinstance(value, (list, tuple)):
        update(f"{len(value)}[".encode())
        for part in value:
            _digest(part, update)
    elif hasattr(value, "weights"):  # the host's adapters: LoRA, LoHa, LoKr...
        update(type(value).__name__.encode())
        _digest(value.weights, update)
    else:
        update(getattr(value, "__qualname__", repr(value)).encode())


def require_model(model: Any) -> Any:
    """Raises: SettingsError: a MODEL that is not ReF-LDM's."""
    if isinstance(model.model, ReFLDMModel):
        return model
    raise SettingsError(
        f"This MODEL is {type(model.model).__name__}, not ReF-LDM.",
        expected="the MODEL output of the node Load ReF-LDM Model, with or without LoRA on it",
        remedy="connect that output",
    )
