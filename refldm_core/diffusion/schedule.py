"""Noise schedule and the timesteps that a sampler visits (paper section 3.1; DDIM, arXiv 2010.02502)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import starmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import OutOfRangeError, SettingsError
from ..ranges import check_ranges, ranged_field
from .settings import PUBLISHED_TIMESTEPS, Spacing

LEAST_ALPHA = 1e-9
"""Smallest alpha_bar that the noisiest level may have. Below it the prediction of x_0 divides by almost nothing, and
pictures are black. The released model ends at 7e-4."""

_HIDDEN_ALPHA = 5e-3
"""Largest alpha_bar of the noisiest level that hides the picture. At 7e-4, the released model's, the coarsest structure
of a latent is still far below the noise. At 0.02 it is not."""


@dataclass(frozen=True)
class NoiseSpec:
    """The forward process q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I).

    Attributes:
        timesteps: Number of noise levels.
        linear_start, linear_end: First and last beta. The square roots of the betas are spaced evenly.

    Raises:
        OutOfRangeError: A value is outside its range, the last beta is below the first, or nothing is left of x_0.
    """

    timesteps: int = ranged_field(PUBLISHED_TIMESTEPS, 1, 100_000)
    linear_start: float = ranged_field(0.0015, 1e-6, 0.5)
    linear_end: float = ranged_field(0.0155, 1e-6, 0.999)

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

    @property
    def starts_from_noise(self) -> bool:
        """Whether sampling starts from noise alone, as published.

        A schedule with less noise leaves so much of the picture at the noisiest level that the network learns to find
        the coarse colors there. In noise alone it would find colors that are nobody's, and the picture would have
        blotches. Sampling then starts from the LQ latent with noise, whose coarse colors are those of the picture.
        """
        return bool(self.alphas_cumprod[-1] < _HIDDEN_ALPHA)

    @cached_property
    def betas(self) -> NDArray[np.float64]:
        """(timesteps,) float64."""
        return np.linspace(self.linear_start**0.5, self.linear_end**0.5, self.timesteps, dtype=np.float64) ** 2

    @cached_property
    def alphas_cumprod(self) -> NDArray[np.float32]:
        """alpha_bar_t: (timesteps,), computed in float64 and rounded once, as the published buffers are."""
        return np.cumprod(1.0 - self.betas).astype(np.float32)


def sampling_timesteps(spec: NoiseSpec, steps: int, spacing: Spacing) -> NDArray[np.int64]:
    """Return the timesteps that a sampler visits, in ascending order.

    "trailing" ends at the noisiest level (published inference). "uniform" starts one level above the cleanest (paper).
    Both have a stride of `timesteps // steps`. A number of steps that does not divide the timesteps therefore gives
    more steps: 7 gives 8, and 300 gives 334.

    Raises:
        SettingsError: Fewer than 1 or more than `timesteps` steps, or a "uniform" stride that leaves the range.
    """
    if not 1 <= steps <= spec.timesteps:
        raise SettingsError(
            f"{steps} sampling steps were asked for.",
            expected=f"1 to {spec.timesteps}",
            remedy="50 is the published number",
        )
    stride = spec.timesteps // steps
    if spacing == "trailing":
        return _trailing(spec.timesteps, steps)
    timesteps = np.arange(0, spec.timesteps, stride, dtype=np.int64) + 1
    if timesteps[-1] >= spec.timesteps:
        raise SettingsError(
            f"{steps} uniform steps would visit timestep {timesteps[-1]} of 0..{spec.timesteps - 1}.",
            expected="a number of steps whose stride stays inside, such as 10, 20, 25, 50 or 100",
            remedy='choose one of those, or the spacing "trailing", which takes any number',
        )
    return timesteps


def _trailing(levels: int, steps: int) -> NDArray[np.int64]:
    """Return timesteps of a stride of `levels // steps` that end at the noisiest of the cleanest `levels`."""
    return np.arange(levels, 0, -(levels // steps), dtype=np.int64)[::-1] - 1


class SamplingStep(NamedTuple):
    """The constants of one sampling step. They are Python numbers, so that no step waits for an accelerator.

    Attributes:
        timestep: Noise level at the step's start.
        alpha_bar: The signal's share of the variance at the start.
        sqrt_one_minus_alpha_bar: Standard deviation of the noise at the start.
        alpha_bar_prev: alpha_bar at the step's end, the next cleaner level.
        sigma: Standard deviation of the noise that the step adds (DDIM eq. 16).
    """

    timestep: int
    alpha_bar: float
    sqrt_one_minus_alpha_bar: float
    alpha_bar_prev: float
    sigma: float

    @property
    def half_log_snr(self) -> float:
        """Lambda at the step's start: half of the log signal-to-noise ratio."""
        return _half_log_snr(self.alpha_bar)

    @property
    def half_log_snr_prev(self) -> float:
        """Lambda at the step's end."""
        return _half_log_snr(self.alpha_bar_prev)


def _half_log_snr(alpha_bar: float) -> float:
    return 0.5 * math.log(alpha_bar / (1.0 - alpha_bar))


@dataclass(frozen=True)
class SamplingTable:
    """The constants of all steps, in the published precisions and in ascending order of the timesteps.

    Attributes:
        timesteps: (steps,) int64. Samplers run from the last to the first.
        alphas: (steps,) float32, alpha_bar at each timestep.
        alphas_prev: (steps,) float64, alpha_bar at the next cleaner level. The cleanest is alpha_bar_0 and not 1: the
            published sampler leaves this trace of noise in the result.
    """

    timesteps: NDArray[np.int64]
    alphas: NDArray[np.float32]
    alphas_prev: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.timesteps)

    def steps(self, eta: float = 0.0) -> Iterator[SamplingStep]:
        """Return the steps from the noisiest level to the cleanest, the order in which a sampler takes them.

        Args:
            eta: Share of DDPM's noise that a step adds, 0..1.
        """
        columns = (self.timesteps, self.alphas, self.sqrt_one_minus_alphas, self.alphas_prev, self.sigmas(eta))
        return starmap(SamplingStep, zip(*(reversed(column.tolist()) for column in columns), strict=True))

    @cached_property
    def sqrt_one_minus_alphas(self) -> NDArray[np.float32]:
        """(steps,) float32."""
        return np.sqrt(1.0 - self.alphas)

    def sigmas(self, eta: float) -> NDArray[np.float64]:
        """Return the standard deviation of the noise that each step adds: (steps,), eta times DDIM eq. 16."""
        # The published tables multiply by a float32 reciprocal; dividing in float64 differs in the eighth digit.
        variance = (1.0 - self.alphas_prev) * (1.0 / (1.0 - self.alphas)) * (1.0 - self.alphas / self.alphas_prev)
        return eta * np.sqrt(variance)


def sampling_table(spec: NoiseSpec, steps: int, spacing: Spacing = "trailing", strength: float = 1.0) -> SamplingTable:
    """Return the constants of every step.

    Args:
        spec, steps, spacing: See `sampling_timesteps`, also for the errors.
        strength: Part of the noise levels that the steps go through, above 0 and at most 1. Below 1, "trailing" ends at
            the noise level `strength * timesteps`, and "uniform" takes the cleanest `steps` of `steps / strength`.
            There are no more steps than noise levels. Sampling then starts from a latent with noise on it, and not
            from noise alone.
    """
    if strength < 1.0 and spacing == "uniform":
        full_steps = max(steps, min(int(steps / strength), spec.timesteps))
        timesteps = sampling_timesteps(spec, full_steps, spacing)[:steps]
    else:
        timesteps = sampling_timesteps(spec, steps, spacing)
        if strength < 1.0:
            timesteps = _trailing(max(steps, round(strength * spec.timesteps)), steps)
    alphas = spec.alphas_cumprod[timesteps]
    return SamplingTable(timesteps, alphas, np.append(spec.alphas_cumprod[:1], alphas[:-1]).astype(np.float64))
