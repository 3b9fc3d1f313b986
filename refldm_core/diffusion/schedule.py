"""Noise schedule and the timesteps that a sampler visits (paper section 3.1; DDIM, arXiv 2010.02502)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OutOfRangeError, SettingsError
from ..ranges import bounded, check_ranges

Spacing = Literal["trailing", "uniform"]

LEAST_ALPHA = 1e-9
"""Smallest alpha_bar of the noisiest level: below it the prediction of x_0 divides by almost nothing, and pictures are
black. The released model ends at 7e-4."""


@dataclass(frozen=True)
class NoiseSpec:
    """The forward process q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I).

    Attributes:
        timesteps: number of noise levels.
        linear_start, linear_end: first and last beta; their square roots are spaced evenly.

    Raises:
        OutOfRangeError: a value outside its range, a last beta below the first, or betas that leave nothing of x_0.
    """

    timesteps: int = bounded(1000, 1, 100_000)
    linear_start: float = bounded(0.0015, 1e-6, 0.5)
    linear_end: float = bounded(0.0155, 1e-6, 0.999)

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.linear_end < self.linear_start:
            raise OutOfRangeError("linear_end", f"{self.linear_end:g}", f"at least linear_start, {self.linear_start:g}")
        if self.alphas_cumprod[-1] < LEAST_ALPHA:
            raise OutOfRangeError(
                "linear_end",
                f"{self.linear_end:g}",
                f"betas that leave a trace of the picture after {self.timesteps} timesteps (alpha_bar {LEAST_ALPHA:g} "
                "or more)",
            )

    @cached_property
    def betas(self) -> NDArray[np.float64]:
        """(timesteps,) float64."""
        return np.linspace(self.linear_start**0.5, self.linear_end**0.5, self.timesteps, dtype=np.float64) ** 2

    @cached_property
    def alphas_cumprod(self) -> NDArray[np.float32]:
        """alpha_bar_t: (timesteps,), computed in float64 and rounded once, as the published buffers are."""
        return np.cumprod(1.0 - self.betas).astype(np.float32)


def sampling_timesteps(spec: NoiseSpec, steps: int, spacing: Spacing) -> NDArray[np.int64]:
    """Timesteps that a sampler visits, in ascending order.

    "trailing" ends at the noisiest level (published inference); "uniform" starts one above the cleanest (paper).
    Both stride by `timesteps // steps`, so that a number of steps that does not divide the timesteps gives more
    steps than asked for: 7 gives 8, 300 gives 334.

    Raises:
        SettingsError: fewer than 1 or more than `timesteps` steps, or a "uniform" stride that leaves the range.
    """
    if not 1 <= steps <= spec.timesteps:
        raise SettingsError(
            f"{steps} sampling steps were asked for.",
            expected=f"1 to {spec.timesteps}",
            remedy="50 is the published number",
        )
    stride = spec.timesteps // steps
    if spacing == "trailing":
        return np.arange(spec.timesteps, 0, -stride, dtype=np.int64)[::-1] - 1
    timesteps = np.arange(0, spec.timesteps, stride, dtype=np.int64) + 1
    if timesteps[-1] >= spec.timesteps:
        raise SettingsError(
            f"{steps} uniform steps would visit timestep {timesteps[-1]} of 0..{spec.timesteps - 1}.",
            expected="a number of steps whose stride stays inside, such as 10, 20, 25, 50 or 100",
            remedy='choose one of those, or the spacing "trailing", which takes any number',
        )
    return timesteps


class SamplingStep(NamedTuple):
    """The constants of one sampling step, as Python numbers, so that an accelerator is never waited for.

    Attributes:
        timestep: the noise level that the step starts from.
        alpha_bar: the signal's share of the variance there.
        sqrt_one_minus_alpha_bar: the noise's standard deviation there.
        alpha_bar_prev: alpha_bar at the next cleaner level, where the step ends.
    """

    timestep: int
    alpha_bar: float
    sqrt_one_minus_alpha_bar: float
    alpha_bar_prev: float

    @property
    def half_log_snr(self) -> float:
        """Lambda at the step's start: half the log signal-to-noise ratio."""
        return _half_log_snr(self.alpha_bar)

    @property
    def half_log_snr_prev(self) -> float:
        """Lambda at the step's end."""
        return _half_log_snr(self.alpha_bar_prev)


def _half_log_snr(alpha_bar: float) -> float:
    return 0.5 * math.log(alpha_bar / (1.0 - alpha_bar))


@dataclass(frozen=True)
class SamplingTable:
    """Per-step constants in the published precisions; index i counts timesteps in ascending order.

    Attributes:
        timesteps: (steps,) int64, ascending; samplers run from the last to the first.
        alphas: (steps,) float32, alpha_bar at each timestep.
        alphas_prev: (steps,) float64, alpha_bar of the next cleaner level. The cleanest is alpha_bar_0, not 1: the
            published sampler leaves that last trace of noise in.
    """

    timesteps: NDArray[np.int64]
    alphas: NDArray[np.float32]
    alphas_prev: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.timesteps)

    def steps(self) -> Iterator[SamplingStep]:
        """The steps in the order that a sampler takes them: from the noisiest level to the cleanest."""
        for i in reversed(range(len(self))):
            yield SamplingStep(
                int(self.timesteps[i]),
                float(self.alphas[i]),
                float(self.sqrt_one_minus_alphas[i]),
                float(self.alphas_prev[i]),
            )

    @cached_property
    def sqrt_one_minus_alphas(self) -> NDArray[np.float32]:
        """(steps,)"""
        return np.sqrt(1.0 - self.alphas)

    def sigmas(self, eta: float) -> NDArray[np.float64]:
        """Noise that each step adds: (steps,), DDIM eq. 16 times eta."""
        # The published tables multiply by a float32 reciprocal; dividing in float64 differs in the eighth digit.
        variance = (1.0 - self.alphas_prev) * (1.0 / (1.0 - self.alphas)) * (1.0 - self.alphas / self.alphas_prev)
        return eta * np.sqrt(variance)


def sampling_table(spec: NoiseSpec, steps: int, spacing: Spacing = "trailing", strength: float = 1.0) -> SamplingTable:
    """Constants of every step.

    Args:
        spec, steps, spacing: see `sampling_timesteps`, also for the errors.
        strength: the part of the noise levels that the steps go through, above 0. Below 1 they are the last `steps`
            of `steps / strength`, at most of one for each noise level, with the stride of that number; sampling then
            starts from a latent with noise on it instead of from noise alone.
    """
    steps_in_all = steps if strength >= 1.0 else max(steps, min(int(steps / strength), spec.timesteps))
    timesteps = sampling_timesteps(spec, steps_in_all, spacing)
    if strength < 1.0:
        timesteps = timesteps[:steps]
    alphas = spec.alphas_cumprod[timesteps]
    return SamplingTable(timesteps, alphas, np.append(spec.alphas_cumprod[:1], alphas[:-1]).astype(np.float64))
