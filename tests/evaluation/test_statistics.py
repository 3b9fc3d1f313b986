"""The statistics equal independent computations: loops in numpy, and numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refldm_core.evaluation.statistics import bootstrap, holm, paired_p, person_means


def test_interval_equals_that_of_a_loop_over_drawn_people() -> None:
    random = np.random.default_rng(0)
    people = [f"p{i}" for i in range(30) for _ in range(i % 3 + 1)]
    person_value = dict(zip(dict.fromkeys(people), random.normal(size=30), strict=True))
    values = [person_value[person] + 0.1 * random.normal() for person in people]
    interval = bootstrap(values, people, resamples=4000)
    assert (interval.pictures, interval.people) == (60, 30)
    assert interval.mean == pytest.approx(np.mean(values))

    pictures = [
        np.array([v for v, person in zip(values, people, strict=True) if person == name]) for name in person_value
    ]
    draws = np.random.default_rng(1)
    means = [np.concatenate([pictures[i] for i in draws.integers(0, 30, 30)]).mean() for _ in range(4000)]
    low, high = np.quantile(means, [0.025, 0.975])
    assert interval.low == pytest.approx(low, abs=0.03)
    assert interval.high == pytest.approx(high, abs=0.03)
    # Pictures of one person are similar, so that drawing pictures would give a far smaller interval.
    by_picture = bootstrap(values, [str(i) for i in range(60)], resamples=4000)
    assert by_picture.high - by_picture.low < 0.8 * (interval.high - interval.low)


def test_equal_seeds_give_equal_intervals() -> None:
    random = np.random.default_rng(0)
    values, people = random.normal(size=20).tolist(), [f"p{i // 2}" for i in range(20)]
    assert bootstrap(values, people) == bootstrap(values, people)
    assert bootstrap(values, people) != bootstrap(values, people, seed=1)


def test_one_person_or_an_infinite_mean_has_no_interval() -> None:
    one_person = bootstrap([0.1, 0.2], ["a", "a"])
    assert one_person.mean == pytest.approx(0.15) and math.isnan(one_person.low) and math.isnan(one_person.high)
    infinite = bootstrap([math.inf, 30.0], ["a", "b"])
    assert infinite.mean == math.inf and math.isnan(infinite.low)
    equal = bootstrap([0.5, 0.5], ["a", "b"])
    assert (equal.mean, equal.low, equal.high) == (0.5, 0.5, 0.5)


def test_person_means_are_in_the_order_of_names() -> None:
    assert person_means([1.0, 3.0, 5.0], ["b", "b", "a"]).tolist() == [5.0, 2.0]


def test_wilcoxon_p_equals_a_computation_by_hand() -> None:
    # All six differences are positive. Of 2^6 patterns of signs, one gives this sum of ranks, and one the opposite sum.
    assert paired_p([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(2 / 2**6)
    # Only rank 1 is negative. Two patterns of signs give a sum of at most 1, and two the opposite sums.
    assert paired_p([-0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(4 / 2**6)
    assert paired_p([0.0, 0.0, 0.0]) == 1.0
    assert math.isnan(paired_p([0.3])) and math.isnan(paired_p([math.nan, 0.3]))


def test_holm_adjustment_equals_a_computation_by_hand() -> None:
    # .005, .01, .03, .04 times 4, 3, 2, 1 are .02, .03, .06, .04. The last one is raised to .06.
    assert holm([0.01, 0.04, math.nan, 0.03, 0.005]) == pytest.approx([0.03, 0.06, math.nan, 0.06, 0.02], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
