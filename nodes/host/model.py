"""The U-Net as a MODEL, which the host samples with the references in its conditioning."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import comfy.model_base
import comfy.model_management
import comfy.model_sampling
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ...refldm_core.errors import SettingsError
from ...refldm_core.model.reference import ReferenceKV
from ...refldm_core.model.variants import ModelSpec
from ...refldm_core.out_of_memory import PREDICTION, Parts
from ..types import ReferenceSet
from .conditioning import LQ_KEY, NULL_KEY, REFERENCES_KEY, STRENGTH_KEY, TOKENS_KEY, CondReferences, count_elements
from .fingerprints import fingerprint_of
from .latents import ReFLDMLatent
from .memory import explained_memory_errors
from .network import HostUNet


class PublishedEnd(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.EPS):
    """The host's noise levels with the published end: sampling stops at the cleanest level instead of at 0.

    At that level x = sqrt(alpha_bar_0) (x_0 + sigma_min eps). The published code decodes this x as it is.
    """

    def inverse_noise_scaling(self, sigma: Tensor, latent: Tensor) -> Tensor:
        # Above sigma_min the latent stays as it is: it is unfinished, and a second sampler continues from it.
        return latent / (1.0 + sigma**2) ** 0.5 if sigma <= self.sigma_min else latent


class ReFLDMConfig(comfy.supported_models_base.BASE):
    """What the host must know about a model before it builds the model."""

    unet_extra_config: dict[str, Any] = {}  # noqa: RUF012  # the host's class attribute
    latent_format = ReFLDMLatent
    memory_usage_factor = 1.0  # the factor of SD 1.5; its U-Net is wider, so the estimate is on the safe side

    def __init__(self, spec: ModelSpec) -> None:
        # The spec is one nested value, since the host reads flat keys such as num_res_blocks as those of its own U-Net.
        super().__init__({"spec": spec.unet})
        self.refldm_spec = spec
        self.latent_format.set_spec(spec)  # pyright: ignore[reportCallIssue]  # the host has made it an instance
        self.sampling_settings = {
            "linear_start": spec.noise.linear_start,
            "linear_end": spec.noise.linear_end,
            "timesteps": spec.noise.timesteps,
        }

    def get_model(self, state_dict: Any, prefix: str = "", device: Any = None) -> ReFLDMModel:
        return ReFLDMModel(self, device)


class ReFLDMModel(comfy.model_base.BaseModel):
    """ReF-LDM as the host samples it: noise prediction with the LQ latent and references in the conditioning."""

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
        self.diffusion_model.parts = Parts(PREDICTION)  # a sampling begins
        conds = super().extra_conds(**kwargs)
        conds.pop("c_crossattn", None)  # the unused text embedding
        noise: Tensor = kwargs["noise"]
        people: tuple[ReferenceSet | None, ...] = kwargs.get(REFERENCES_KEY) or (None,)
        # The host's concat_cond spreads the pictures over the latents in this way. Each picture keeps its own person.
        order = comfy.utils.resize_to_batch_size(torch.arange(kwargs[LQ_KEY].shape[0]), noise.shape[0]).tolist()
        kv_of_person = {
            id(person): self._reference_kv(
                person, kwargs.get(NULL_KEY, False), kwargs["device"], noise, kwargs.get(STRENGTH_KEY, 1.0)
            )
            for person in people
        }
        if kwargs.get(TOKENS_KEY, "all") == "half" and not kwargs.get(NULL_KEY, False):
            kv_of_person = {key: None if kv is None else kv.with_half_the_tokens() for key, kv in kv_of_person.items()}
        conds["references"] = CondReferences(tuple(kv_of_person[id(people[i % len(people)])] for i in order))
        return conds

    def extra_conds_shapes(self, **kwargs: Any) -> dict[str, list[int]]:
        people = kwargs.get(REFERENCES_KEY) or ()
        return {"references": [sum(count_elements(person.kv) for person in people if person is not None)]}

    def memory_required(self, input_shape: Sequence[int], cond_shapes: Mapping[str, Any] = {}) -> float:
        # memory_usage_factor_conds is not used: it would count the keys and values as pixels of the latent.
        stored = sum(size[0] for size in cond_shapes.get("references", ()))
        return super().memory_required(input_shape) + stored * comfy.model_management.dtype_size(self.compute_dtype)

    def encode_references(self, latents: Tensor, device: torch.device) -> ReferenceKV:
        """Return the keys and values of latents (references, c, h, w), made with the currently patched weights.

        The latents may be on any device. The result is on the host's intermediate device, usually the CPU.
        """
        with explained_memory_errors("encode one reference"):
            kv = self.diffusion_model.encode_references(latents.to(device, self.compute_dtype))
        kv = kv.to(comfy.model_management.intermediate_device())
        return replace(kv, fingerprint=fingerprint_of(self.current_patcher))

    def _reference_kv(
        self, person: ReferenceSet | None, null: bool, device: torch.device, noise: Tensor, strength: float
    ) -> ReferenceKV | None:
        """Return a person's references, or as many null references, on the device for one sampling."""
        if person is None or strength == 0.0:
            return None
        size = (noise.shape[-2], noise.shape[-1])
        weights = fingerprint_of(self.current_patcher)
        person.kv.require_fit(person.kv.fingerprint, size)
        kv = person.for_weights(weights, lambda latents: self.encode_references(latents, device))
        if null:
            kv = self._null_reference(weights, size, device).repeat(kv.count)
        # The U-Net compares the fingerprint of its unpatched weights only. The patches were compared above.
        kv = replace(kv.to(device, self.compute_dtype), fingerprint=self.diffusion_model.fingerprint)
        return kv.with_strength(strength)

    def _null_reference(self, weights: str, size: tuple[int, int], device: torch.device) -> ReferenceKV:
        cached = self._null
        if cached is None or (cached.fingerprint, cached.latent_size) != (weights, size):
            cached = self.encode_references(torch.zeros(1, self.spec.unet.out_channels, *size), device)
            self._null = cached
        return cached


def require_model(model: Any) -> Any:
    """Return the MODEL if it is a ReF-LDM model.

    Raises:
        SettingsError: it is a model of another kind.
    """
    if isinstance(model.model, ReFLDMModel):
        return model
    raise SettingsError(
        f"This MODEL is {type(model.model).__name__}, not ReF-LDM.",
        expected="the MODEL output of the node Load ReF-LDM Model, with or without LoRA on it",
        remedy="connect that output",
    )
