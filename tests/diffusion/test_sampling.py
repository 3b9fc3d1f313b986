"""Samplers on a problem with a known answer: data drawn from one normal distribution.

For x_0 ~ N(0, s^2 I) the best prediction of the noise is linear in x, and the exact flow of the probability-flow ODE
scales x by the ratio of the marginal deviations.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from refldm_core.diffusion.sampling import Model, ddim, dpmpp_2m, initial_noise
from refldm_core.diffusion.schedule import NoiseSpec, SamplingTable, sampling_table
from refldm_core.progress import Step

SPEC = NoiseSpec()
DATA_DEVIATION = 3.0


def _variance(alpha_bar: float) -> float:
    return alpha_bar * DATA_DEVIATION**2 + 1.0 - alpha_bar


def gaussian_model(x: Tensor, t: int) -> Tensor:
    """E[eps | x_t]."""
    alpha_bar = float(SPEC.alphas_cumprod[t])
    return x * math.sqrt(1 - alpha_bar) / _variance(alpha_bar)


def _error(sample: Tensor, x: Tensor, table: SamplingTable) -> float:
    exact = x * math.sqrt(_variance(float(table.alphas_prev[0])) / _variance(float(table.alphas[-1])))
    return ((sample - exact).norm() / exact.norm()).item()


@pytest.fixture
def x() -> Tensor:
    return initial_noise([0, 1], (8, 4, 4))[0]


def test_ddim_converges_to_first_order(x: Tensor) -> None:
    errors = [
        _error(ddim(gaussian_model, x, sampling_table(SPEC, n)), x, sampling_table(SPEC, n)) for n in (50, 100, 200)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert 1.5 < errors[0] / errors[1] < 3.0
    assert errors[2] < 0.02


def test_dpmpp_2m_needs_fewer_steps(x: Tensor) -> None:
    def error(sampler: object, steps: int) -> float:
        table = sampling_table(SPEC, steps)
        return _error(sampler(gaussian_model, x, table), x, table)  # type: ignore[operator]

    assert error(dpmpp_2m, 20) < error(ddim, 100)
    assert error(dpmpp_2m, 50) < 0.25 * error(ddim, 50)


def test_every_additional_step_of_dpmpp_2m_lowers_the_error(x: Tensor) -> None:
    """Numbers of steps that do not divide the timesteps (6, 7, 12, 15, 30) end with a long step and a tiny one."""
    tables = [sampling_table(SPEC, steps) for steps in (4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 50)]
    errors = [_error(dpmpp_2m(gaussian_model, x, table), x, table) for table in tables]
    assert errors == sorted(errors, reverse=True)


def test_the_first_step_of_dpmpp_2m_equals_ddim(x: Tensor) -> None:
    table = sampling_table(SPEC, 10)
    ddim_steps: list[Step] = []
    dpmpp_steps: list[Step] = []
    ddim(gaussian_model, x, table, on_step=ddim_steps.append)
    dpmpp_2m(gaussian_model, x, table, on_step=dpmpp_steps.append)
    torch.testing.assert_close(ddim_steps[0].x, dpmpp_steps[0].x)
    assert not torch.allclose(ddim_steps[1].x, dpmpp_steps[1].x)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_keeps_the_marginal_for_any_eta(eta: float) -> None:
    x, generators = initial_noise([3], (64, 16, 16))
    table = sampling_table(SPEC, 250)
    sample = ddim(gaussian_model, x, table, eta=eta, generators=generators)
    assert sample.std().item() == pytest.approx(math.sqrt(_variance(float(SPEC.alphas_cumprod[0]))), rel=0.03)


def test_an_images_noise_does_not_depend_on_its_batch() -> None:
    noise, generators = initial_noise([7, 8], (8, 4, 4))
    alone, alone_generators = initial_noise([8], (8, 4, 4))
    assert torch.equal(noise[1:], alone)
    table = sampling_table(SPEC, 5)
    batch_result = ddim(gaussian_model, noise, table, eta=1.0, generators=generators)
    single_result = ddim(gaussian_model, alone, table, eta=1.0, generators=alone_generators)
    torch.testing.assert_close(batch_result[1:], single_result)


@pytest.mark.parametrize("sampler", [ddim, dpmpp_2m])
def test_the_callback_counts_steps_and_can_stop_the_sampling(sampler: object, x: Tensor) -> None:
    calls: list[int] = []

    def counted(x: Tensor, t: int) -> Tensor:
        calls.append(t)
        return gaussian_model(x, t)

    def stop_at_three(step: Step) -> None:
        assert step.total == 10
        if step.done == 3:
            raise InterruptedError

    model: Model = counted
    with pytest.raises(InterruptedError):
        sampler(model, x, sampling_table(SPEC, 10), on_step=stop_at_three)  # type: ignore[operator]
    assert calls == [999, 899, 799]
