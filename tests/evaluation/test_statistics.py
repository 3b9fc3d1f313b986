"""The statistics against independent computations: numpy loops, and numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refldm_core.evaluation.statistics import bootstrap, holm, paired_p, person_means


def test_the_interval_is_that_of_people_drawn_again() -> None:
    random = np.random.default_rng(0)
    people = [f"p{i}" for i in range(30) for _ in range(i % 3 + 1)]
    of_person = dict(zip(dict.fromkeys(people), random.normal(size=30), strict=True))
    values = [of_person[who] + 0.1 * random.normal() for who in people]
    found = bootstrap(values, people, resamples=4000)
    assert (found.pictures, found.people) == (60, 30)
    assert found.mean == pytest.approx(np.mean(values))

    pictures = [np.array([v for v, who in zip(values, people, strict=True) if who == name]) for name in of_person]
    draws = np.random.default_rng(1)
    means = [np.concatenate([pictures[i] for i in draws.integers(0, 30, 30)]).mean() for _ in range(4000)]
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.03)
    assert found.high == pytest.approx(high, abs=0.03)
    # Pictures of one person are alike: drawing pictures instead would give a far smaller interval.
    single = bootstrap(values, [str(i) for i in range(60)], resamples=4000)
    assert single.high - single.low < 0.8 * (found.high - found.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    random = np.random.default_rng(0)
    values, people = random.normal(size=20).tolist(), [f"p{i // 2}" for i in range(20)]
    assert bootstrap(values, people) == bootstrap(values, people)
    assert bootstrap(values, people) != bootstrap(values, people, seed=1)


def test_no_interval_of_one_person_or_of_the_infinite() -> None:
    alone = bootstrap([0.1, 0.2], ["a", "a"])
    assert alone.mean == pytest.approx(0.15) and math.isnan(alone.low) and math.isnan(alone.high)
    same = bootstrap([math.inf, 30.0], ["a", "b"])
    assert same.mean == math.inf and math.isnan(same.low)
    flat = bootstrap([0.5, 0.5], ["a", "b"])
    assert (flat.mean, flat.low, flat.high) == (0.5, 0.5, 0.5)


def test_person_means() -> None:
    assert person_means([1.0, 3.0, 5.0], ["b", "b", "a"]).tolist() == [5.0, 2.0]


def test_wilcoxon_by_hand() -> None:
    # All six differences positive: of 2^6 signs, one gives this sum of ranks and one its mirror image.
    assert paired_p([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(2 / 2**6)
    # Negative rank 1 alone: sums 0 and 1 from below, and the same from above.
    assert paired_p([-0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(4 / 2**6)
    assert paired_p([0.0, 0.0, 0.0]) == 1.0
    assert math.isnan(paired_p([0.3])) and math.isnan(paired_p([math.nan, 0.3]))


def test_holm_by_hand() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04, of which the last may not fall below .06.
    assert holm([0.01, 0.04, math.nan, 0.03, 0.005]) == pytest.approx([0.03, 0.06, math.nan, 0.06, 0.02], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
