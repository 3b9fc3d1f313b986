"""Samplers: functions of (model, x, table). They compute in float32, whatever the model computes in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..progress import OnStep, Step, ignore_steps
from .schedule import SamplingStep, SamplingTable

Model = Callable[[Tensor, int], Tensor]
"""eps(x, t): predicts the noise, of x's shape. x is (batch, c, h, w) float32, and t is the timestep of all images.

t is a Python number, since a comparison with a tensor on an accelerator would wait for it.
"""

SHORTEST_PREVIOUS_STEP = 0.5
"""`dpmpp_2m` extrapolates x_0 if the previous step was at least this part of the current one. From a shorter step it
would add more than the last change of x_0."""


def initial_noise(seeds: Sequence[int], shape: tuple[int, int, int]) -> tuple[Tensor, list[torch.Generator]]:
    """Draw the published initial noise, on the CPU and with one seed for each image.

    So the noise of an image depends neither on the batch nor on the device.

    Args:
        seeds: One for each image.
        shape: (c, h, w) of one latent.

    Returns:
        (batch, c, h, w) float32 on the CPU, and the generators for noise that is drawn later (eta > 0).
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return _randn(generators, shape), generators


def _randn(generators: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    return torch.cat([torch.randn([1, *shape], generator=generator) for generator in generators])


def noise_latents(latents: Tensor, noise: Tensor, step: SamplingStep) -> Tensor:
    """Return the latents at the noise level where a step starts: x_t of q(x_t | x_0), in float32."""
    return math.sqrt(step.alpha_bar) * latents.float() + step.sqrt_one_minus_alpha_bar * noise


def ddim(
    model: Model,
    x: Tensor,
    table: SamplingTable,
    *,
    eta: float = 0.0,
    generators: Sequence[torch.Generator] = (),
    on_step: OnStep = ignore_steps,
) -> Tensor:
    """Sample by DDIM (arXiv 2010.02502, eq. 12), without clipping x_0.

    Args:
        model: Predicts the noise.
        x: (batch, c, h, w) float32, at the noise level of the first step.
        table: The steps.
        eta: Noise that a step adds. 0 is deterministic, 1 adds as much as DDPM.
        generators: One for each image, for eta > 0.
        on_step: Called after each step.

    Returns:
        The latents at the cleanest level of the table, of x's shape.
    """
    for done, step in enumerate(table.steps(eta), start=1):
        eps = model(x, step.timestep)
        x_0 = _predict_x_0(step, x, eps)
        x = math.sqrt(step.alpha_bar_prev) * x_0 + math.sqrt(1.0 - step.alpha_bar_prev - step.sigma**2) * eps
        if eta:
            x = x + step.sigma * _randn(generators, x.shape[1:]).to(x)
        on_step(Step(done, len(table), x, x_0))
    return x


def dpmpp_2m(model: Model, x: Tensor, table: SamplingTable, *, on_step: OnStep = ignore_steps) -> Tensor:
    """Sample by DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2), of second order through the previous step's x_0.

    The arguments, the steps and the last noise level are those of `ddim` with eta 0. The first step equals DDIM's. So
    does a step that is more than twice as long as the previous one (in half of the log signal-to-noise ratio), because
    the change of x_0 over a short step says too little about a long one. Where the number of steps does not divide the
    timesteps, the table ends with such a step and a tiny one.
    """
    previous_x_0: Tensor | None = None
    previous_lambda = math.nan
    for done, step in enumerate(table.steps(), start=1):
        eps = model(x, step.timestep)
        x_0 = _predict_x_0(step, x, eps)
        h = step.half_log_snr_prev - step.half_log_snr
        extrapolated = x_0
        if previous_x_0 is not None and done < len(table):  # in the last step, the largest, it magnifies errors
            r = (step.half_log_snr - previous_lambda) / h
            if r >= SHORTEST_PREVIOUS_STEP:
                extrapolated = x_0 + (x_0 - previous_x_0) / (2.0 * r)
        noise_ratio = math.sqrt((1.0 - step.alpha_bar_prev) / (1.0 - step.alpha_bar))
        x = noise_ratio * x - math.sqrt(step.alpha_bar_prev) * math.expm1(-h) * extrapolated
        previous_x_0, previous_lambda = x_0, step.half_log_snr
        on_step(Step(done, len(table), x, x_0))
    return x


def _predict_x_0(step: SamplingStep, x: Tensor, eps: Tensor) -> Tensor:
    """DDIM eq. 9."""
    return (x - step.sqrt_one_minus_alpha_bar * eps) / math.sqrt(step.alpha_bar)
