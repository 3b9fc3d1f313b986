"""Samplers: each one function over (model, x, table), in float32 whatever the model computes in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..progress import OnStep, Step, ignore_steps
from .schedule import SamplingStep, SamplingTable

Model = Callable[[Tensor, int], Tensor]
"""eps(x, t): x is (batch, c, h, w) float32, t is the timestep of all images; returns the predicted noise, shaped as x.

t is a Python number: a tensor on an accelerator would have to be waited for to compare it with anything.
"""

SamplerName = Literal["ddim", "dpmpp_2m"]

SHORTEST_PREVIOUS_STEP = 0.5
"""`dpmpp_2m` extrapolates where the previous step was at least this part of the current one. From a shorter step it
would add more than x_0's last change."""


def initial_noise(seeds: Sequence[int], shape: tuple[int, int, int]) -> tuple[Tensor, list[torch.Generator]]:
    """The published initial noise: drawn on the CPU, from one seed for each image.

    An image's noise does not depend on the size of its batch or on the device.

    Args:
        seeds: one for each image.
        shape: (c, h, w) of one latent.

    Returns:
        (batch, c, h, w) float32 on the CPU, and the generators for noise drawn later (eta > 0).
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return _randn(generators, shape), generators


def _randn(generators: Sequence[torch.Generator], shape: Sequence[int]) -> Tensor:
    return torch.cat([torch.randn([1, *shape], generator=generator) for generator in generators])


def ddim(
    model: Model,
    x: Tensor,
    table: SamplingTable,
    *,
    eta: float = 0.0,
    generators: Sequence[torch.Generator] = (),
    on_step: OnStep = ignore_steps,
) -> Tensor:
    """DDIM (arXiv 2010.02502, eq. 12), without clipping x_0.

    Args:
        model: predicts the noise.
        x: (batch, c, h, w) float32, standard normal.
        table: the steps.
        eta: 0 is deterministic, 1 adds as much noise as DDPM.
        generators: one for each image, for eta > 0.
        on_step: called after each step.

    Returns:
        The latent at the table's cleanest level, shaped as x.
    """
    sigmas = reversed(table.sigmas(eta).tolist())
    for done, (step, sigma) in enumerate(zip(table.steps(), sigmas, strict=True), start=1):
        eps = model(x, step.timestep)
        x_0 = _predict_x_0(step, x, eps)
        x = math.sqrt(step.alpha_bar_prev) * x_0 + math.sqrt(1.0 - step.alpha_bar_prev - sigma**2) * eps
        if eta:
            x = x + sigma * _randn(generators, x.shape[1:]).to(x)
        on_step(Step(done, len(table), x, x_0))
    return x


def dpmpp_2m(model: Model, x: Tensor, table: SamplingTable, *, on_step: OnStep = ignore_steps) -> Tensor:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2): second order from the previous step's x_0.

    Same arguments, steps and end as `ddim` with eta 0. The first step equals DDIM's. So does each step that is more
    than twice as long as the previous one, in half the log signal-to-noise ratio: the change of x_0 over the shorter
    step says too little about it. A table whose steps do not divide the timesteps ends with such a step and a tiny one.
    """
    previous_x_0: Tensor | None = None
    previous_lambda = math.nan
    for done, step in enumerate(table.steps(), start=1):
        eps = model(x, step.timestep)
        x_0 = _predict_x_0(step, x, eps)
        h = step.half_log_snr_prev - step.half_log_snr
        extrapolated = x_0
        if previous_x_0 is not None and done < len(table):  # extrapolating the last, largest step magnifies its error
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
