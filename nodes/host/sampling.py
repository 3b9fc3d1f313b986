"""Encoding of references, and sampling with the host's guider, patches, previews and interruption."""
# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ...refldm_core.diffusion.sampling import ddim, dpmpp_2m
from ...refldm_core.diffusion.schedule import SamplingTable
from ...refldm_core.diffusion.settings import SamplerName
from ...refldm_core.model.precision import require_finite_values
from ...refldm_core.model.reference import ReferenceKV
from ...refldm_core.progress import Step
from .first_stage import USE_FLOAT32


def encode_references(model: Any, latents: Tensor) -> ReferenceKV:
    """Compute the keys and values of references (CacheKV) with the patched weights of a MODEL.

    Args:
        model: A MODEL of ReF-LDM.
        latents: (references, c, h, w), scaled as the U-Net takes them.

    Raises:
        NotFiniteError: a key or value is NaN or infinite.
    """
    batch = [latents.shape[0], model.model.spec.unet.in_channels, *latents.shape[2:]]
    comfy.model_management.load_models_gpu([model], memory_required=model.model.memory_required(batch))
    model.pre_run()
    try:
        references = model.model.encode_references(latents, model.load_device)
    finally:
        model.cleanup()
    require_finite_values("encoded references", *references.tensors, remedy=USE_FLOAT32)
    return references


def split_by_memory(model: Any, shape: torch.Size) -> list[slice]:
    """Split a batch of latents (batch, c, h, w) into parts that need at most half of the device's memory each.

    The host computes positive and negative one after the other if they do not fit together, but it splits no batch.
    """
    both_branches = [2, model.model.spec.unet.in_channels, *shape[2:]]  # of one picture
    memory = comfy.model_management.get_total_memory(model.load_device) / 2
    size = max(1, int(memory / model.model.memory_required(both_branches)))
    return [slice(start, start + size) for start in range(0, shape[0], size)]


def sigmas_of(model: Any, table: SamplingTable) -> Tensor:
    """Return the SIGMAS (steps + 1,) of a table, noisiest first. They end at the cleanest level instead of at 0."""
    levels = model.get_model_object("model_sampling").sigmas.cpu()
    return torch.cat([levels[torch.from_numpy(table.timesteps.copy())].flip(0), levels[:1]])


class CoreSampler(comfy.samplers.KSAMPLER):
    """A sampler of the core that runs all steps of a table. The host's guider calls it.

    Args:
        name: Name of the sampler.
        table: The steps.
        from_noise: Whether sampling starts from noise alone, whatever the noise level of the first step.
    """

    def __init__(self, name: SamplerName, table: SamplingTable, *, from_noise: bool) -> None:
        super().__init__(self._sample)
        self._run = {"ddim": ddim, "dpmpp_2m": dpmpp_2m}[name]
        self.table = table
        self._from_noise = from_noise

    def max_denoise(self, model_wrap: Any, sigmas: Tensor) -> bool:
        return self._from_noise

    def _sample(  # noqa: PLR0917  # the host's signature
        self, model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any], callback: Any, disable: bool
    ) -> Tensor:
        """Sample from the host's x = x_t / sqrt(alpha_bar_t), which has variance 1 + sigma^2. The core takes x_t."""
        sigma_at = dict(zip(self.table.timesteps[::-1].tolist(), sigmas[:-1].tolist(), strict=True))

        def predict_noise(x_t: Tensor, t: int) -> Tensor:
            sigma = sigma_at[t]
            scaled = x_t * (1.0 + sigma**2) ** 0.5
            return (scaled - model(scaled, sigma * x_t.new_ones(len(x_t)), **extra_args)) / sigma

        def on_step(step: Step) -> None:
            sigma = sigmas[step.done - 1]
            callback({"i": step.done - 1, "x": step.x, "denoised": step.x_0, "sigma": sigma, "sigma_hat": sigma})

        start, end = ((1.0 + sigma**2) ** 0.5 for sigma in (sigmas[0], sigmas[-1]))
        return self._run(predict_noise, x / start, self.table, on_step=on_step) * end


def sample(
    model: Any,
    conds: tuple[list[list[Any]], list[list[Any]]],
    sampler: CoreSampler,
    *,
    latents: Tensor,
    noise: Tensor,
    cfg: float,
    seed: int,
    part: tuple[int, int] | None = (0, 1),
) -> Tensor:
    """Sample as the host's own samplers do, with patches, previews, progress and interruption.

    Args:
        model: A MODEL of ReF-LDM.
        conds: Positive and negative CONDITIONING.
        sampler: The sampler with its steps.
        latents: (batch, c, h, w) from which sampling starts; zeros if the sampler starts from noise alone.
        noise: Standard normal noise on the CPU, shaped as the latents.
        cfg: Guidance scale.
        seed: Seed for noise that is drawn during sampling.
        part: Index of this part of a batch, and the number of parts. All parts share one progress bar. None shows
            neither progress nor previews.

    Returns:
        Latents (batch, c, h, w) on the host's intermediate device, usually the CPU.
    """
    return comfy.sample.sample_custom(
        model,
        noise,
        cfg,
        sampler,
        sigmas_of(model, sampler.table),
        *conds,
        latents,
        callback=_stop_if_interrupted if part is None else _callback(model, len(sampler.table), *part),
        disable_pbar=part is None or not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )


def _stop_if_interrupted(*_: Any) -> None:
    comfy.model_management.throw_exception_if_processing_interrupted()


def _callback(model: Any, steps: int, part: int, parts: int) -> Callable[[int, Tensor, Tensor, int], None]:
    """Return the host's callback with previews. It counts the steps of all parts."""
    show = latent_preview.prepare_callback(model, steps * parts)

    def on_step(step: int, x_0: Tensor, x: Tensor, total: int) -> None:
        show(part * steps + step, x_0, x, steps * parts)

    return on_step
