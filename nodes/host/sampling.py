"""Encoding references and sampling with the host's guider, patches, previews and interruption."""
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

from ...refldm_core.diffusion.sampling import SamplerName, ddim, dpmpp_2m
from ...refldm_core.diffusion.schedule import SamplingTable
from ...refldm_core.model.precision import require_finite_values
from ...refldm_core.model.reference import ReferenceKV
from ...refldm_core.progress import Step
from .first_stage import USE_FLOAT32


def encode_references(model: Any, latents: Tensor) -> ReferenceKV:
    """Keys and values of reference latents, scaled as the U-Net takes them, made with a MODEL's patched weights.

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


def parts_of(model: Any, shape: torch.Size) -> list[slice]:
    """Cut a batch of latents (batch, c, h, w) such that each part needs half of the device's memory at most.

    The host cuts where positive and negative do not fit beside each other, but never a batch itself.
    """
    one = [2, model.model.spec.unet.in_channels, *shape[2:]]  # both branches
    memory = comfy.model_management.get_total_memory(model.load_device) / 2
    size = max(1, int(memory / model.model.memory_required(one)))
    return [slice(start, start + size) for start in range(0, shape[0], size)]


def sigmas_of(model: Any, table: SamplingTable) -> Tensor:
    """The host's SIGMAS of a table, noisiest first, ending at the cleanest level instead of at 0: (steps + 1,)."""
    levels = model.get_model_object("model_sampling").sigmas.cpu()
    return torch.cat([levels[torch.from_numpy(table.timesteps.copy())].flip(0), levels[:1]])


class CoreSampler(comfy.samplers.KSAMPLER):
    """One of the core's samplers over a whole table, called by the host's guider.

    Args:
        name: which one.
        table: the steps.
        from_noise: start from noise alone, whatever the first step's level.
    """

    def __init__(self, name: SamplerName, table: SamplingTable, *, from_noise: bool) -> None:
        super().__init__(self._sample)
        self._run = {"ddim": ddim, "dpmpp_2m": dpmpp_2m}[name]
        self.table = table
        self._from_noise = from_noise

    def max_denoise(self, model_wrap: Any, sigmas: Tensor) -> bool:
        return self._from_noise

    def _sample(  # noqa: PLR0917  # as the host calls it
        self, model: Any, x: Tensor, sigmas: Tensor, extra_args: dict[str, Any], callback: Any, disable: bool
    ) -> Tensor:
        """The host's x is x_t / sqrt(alpha_bar_t), which has variance 1 + sigma^2; the core's is x_t."""
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
    part: tuple[int, int] = (0, 1),
) -> Tensor:
    """Sample as the host's own samplers do: its patches, previews, progress and interruption included.

    Args:
        model: a MODEL.
        conds: positive and negative.
        sampler: with its steps.
        latents: (batch, c, h, w) to start from; zeros where the sampler starts from noise alone.
        noise: shaped as the latents, standard normal, on the CPU.
        cfg: guidance.
        seed: of noise that is drawn later.
        part: index of this part of a batch and the number of parts, for one progress bar over all of them.

    Returns:
        (batch, c, h, w) on the host's device for what goes between nodes.
    """
    return comfy.sample.sample_custom(
        model,
        noise,
        cfg,
        sampler,
        sigmas_of(model, sampler.table),
        *conds,
        latents,
        callback=_callback(model, len(sampler.table), *part),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )


def _callback(model: Any, steps: int, part: int, parts: int) -> Callable[[int, Tensor, Tensor, int], None]:
    """The host's callback with its previews, which counts the steps of all parts."""
    show = latent_preview.prepare_callback(model, steps * parts)

    def on_step(step: int, x_0: Tensor, x: Tensor, total: int) -> None:
        show(part * steps + step, x_0, x, steps * parts)

    return on_step
