"""Samplers: each one function over (model, x, table), in float32 whatever the model computes in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..progress import OnStep, Step, ignore_steps
from .schedule import SamplingTable

Model = Callable[[Tensor, Tensor], Tensor]
"""eps(x, t): x is (batch, c, h, w) float32, t is (batch,) int64; returns the predicted noise, shaped as x."""

SamplerName = Literal["ddim", "dpmpp_2m"]

SHORTEST_PREVIOUS_STEP = 0.5
"""The step before, as a part of this one, from which `dpmpp_2m` extrapolates: from a shorter one it would add more than
x_0's last change."""


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
    sigmas = table.sigmas(eta)
    for done, i in enumerate(reversed(range(len(table))), start=1):
        a_prev, sigma = float(table.alphas_prev[i]), float(sigmas[i])
        eps = model(x, _batch_of(table, i, x))
        x_0 = _predict_x_0(table, i, x, eps)
        x = math.sqrt(a_prev) * x_0 + math.sqrt(1.0 - a_prev - sigma**2) * eps
        if eta:
            x = x + sigma * _randn(generators, x.shape[1:]).to(x)
        on_step(Step(done, len(table), x, x_0))
    return x


def dpmpp_2m(model: Model, x: Tensor, table: SamplingTable, *, on_step: OnStep = ignore_steps) -> Tensor:
    """DPM-Solver++(2M) (arXiv 2211.01095, algorithm 2): second order from the previous step's x_0.

    Same arguments, steps and end as `ddim` with eta 0, to which its first step is equal. So is each step that is more
    than twice as long as the one before, in half the log signal-to-noise ratio: the change of x_0 over the shorter one
    says too little of it. A table whose steps do not divide the timesteps ends with such a step and a tiny one.
    """
    # lambda, half the log signal-to-noise ratio, at each step's start and end.
    start, end = _half_log_snr(table.alphas.astype(np.float64)), _half_log_snr(table.alphas_prev)
    previous_x_0: Tensor | None = None
    for done, i in enumerate(reversed(range(len(table))), start=1):
        a_t, a_prev = float(table.alphas[i]), float(table.alphas_prev[i])
        eps = model(x, _batch_of(table, i, x))
        x_0 = _predict_x_0(table, i, x, eps)
        h = end[i] - start[i]
        extrapolated = x_0
        if previous_x_0 is not None and i > 0:  # extrapolating the last, largest step would magnify its error
            r = float((start[i] - start[i + 1]) / h)
            if r >= SHORTEST_PREVIOUS_STEP:
                extrapolated = x_0 + (x_0 - previous_x_0) / (2.0 * r)
        keep = math.sqrt((1.0 - a_prev) / (1.0 - a_t))
        x = keep * x - math.sqrt(a_prev) * math.expm1(-h) * extrapolated
        previous_x_0 = x_0
        on_step(Step(done, len(table), x, x_0))
    return x


def _predict_x_0(table: SamplingTable, i: int, x: Tensor, eps: Tensor) -> Tensor:
    """DDIM eq. 9."""
    return (x - float(table.sqrt_one_minus_alphas[i]) * eps) / math.sqrt(float(table.alphas[i]))


def _half_log_snr(alphas_cumprod: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * np.log(alphas_cumprod / (1.0 - alphas_cumprod))


def _batch_of(table: SamplingTable, i: int, x: Tensor) -> Tensor:
    return torch.full((x.shape[0],), int(table.timesteps[i]), device=x.device, dtype=torch.int64)
