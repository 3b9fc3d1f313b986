from __future__ import annotations

import numpy as np
import pytest

from refldm_core.diffusion.schedule import NoiseSpec, sampling_table, sampling_timesteps
from refldm_core.errors import SettingsError

SPEC = NoiseSpec()


@pytest.mark.parametrize(("asked", "run"), [(1, 1), (4, 4), (7, 8), (50, 50), (300, 334), (1000, 1000)])
def test_trailing_takes_any_number_and_ends_at_the_noisiest(asked: int, run: int) -> None:
    timesteps = sampling_timesteps(SPEC, asked, "trailing")
    assert len(timesteps) == run
    assert timesteps[-1] == 999 and timesteps[0] >= 0
    assert np.all(np.diff(timesteps) == 1000 // asked)


def test_uniform_says_which_numbers_leave_the_range() -> None:
    """599 of the first thousand; the published code stops with an IndexError at the same ones."""
    refused: list[int] = []
    for steps in range(1, 1001):
        try:
            timesteps = sampling_timesteps(SPEC, steps, "uniform")
        except SettingsError as error:
            refused.append(steps)
            assert "trailing" in error.remedy
        else:
            assert timesteps[0] == 1 and timesteps[-1] <= 999
    assert len(refused) == 599
    assert refused[:5] == [3, 9, 27, 36, 37] and refused[-1] == 1000


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_numbers_of_steps(steps: int) -> None:
    with pytest.raises(SettingsError, match="1 to 1000"):
        sampling_timesteps(SPEC, steps, "trailing")


def test_the_last_step_keeps_the_cleanest_level_of_noise() -> None:
    table = sampling_table(SPEC, 50)
    assert table.alphas_prev[0] == SPEC.alphas_cumprod[0] < 1.0
    assert np.array_equal(table.alphas_prev[1:], table.alphas[:-1].astype(np.float64))
