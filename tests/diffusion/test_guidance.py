from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from refldm_core.diffusion.guidance import guided


class Recorder:
    """Predicts the condition of every image, and records the size of every batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x: Tensor, t: int, conditions: Sequence[float]) -> Tensor:
        assert len(x) == len(conditions)
        self.batches.append(len(x))
        return x * 0 + torch.tensor(conditions).reshape(-1, 1, 1, 1) + t


X, T = torch.randn(3, 2, 2, 2), 15


def _values(eps: Tensor, t: int = T) -> list[float]:
    return (eps[:, 0, 0, 0] - t).tolist()


def test_both_branches_are_one_call() -> None:
    model = Recorder()
    eps = guided(model, [1.0, 2.0, 3.0], [0.5, 0.5, 0.0], 1.5)(X, T)
    assert _values(eps) == [1.25, 2.75, 4.5]
    assert model.batches == [6]


def test_guidance_one_runs_one_branch() -> None:
    model = Recorder()
    assert _values(guided(model, [1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 1.0)(X, T)) == [1.0, 2.0, 3.0]
    assert model.batches == [3]


def test_images_without_a_null_are_predicted_once() -> None:
    model = Recorder()
    assert _values(guided(model, [1.0, 2.0, 3.0], [None, 1.0, None], 2.0)(X, T)) == [1.0, 3.0, 3.0]
    assert model.batches == [4]


@pytest.mark.parametrize(("t", "inside"), [(9, False), (10, True), (15, True), (20, True), (21, False)])
def test_outside_the_interval_one_branch_runs(t: int, inside: bool) -> None:
    """Both ends belong to the interval."""
    model = Recorder()
    predict = guided(model, [1.0, 2.0, 3.0], [0.5, None, 0.0], 2.0, (10, 20))
    assert _values(predict(X, t), t) == ([1.5, 2.0, 6.0] if inside else [1.0, 2.0, 3.0])
    assert model.batches == ([5] if inside else [3])


def test_an_interval_of_all_timesteps_equals_no_interval() -> None:
    results: list[tuple[Tensor, list[int]]] = []
    for interval in (None, (0, 20)):
        model = Recorder()
        results.append((guided(model, [0.1, 0.2, 0.3], [0.7, 0.6, None], 1.7, interval)(X, T), model.batches))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1] == [5]
