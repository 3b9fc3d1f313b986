"""The distribution of people and conditions over seeds: genders, ages, skins, traits and poses."""

from __future__ import annotations

from collections import Counter

import numpy as np

from refldm_core.synthetic.conditions import conditions
from refldm_core.synthetic.identity import person

PEOPLE = [person(seed) for seed in range(300)]


def share(values: list[bool]) -> float:
    return float(np.mean(values))


def test_genders_are_balanced() -> None:
    assert 0.42 < share([p.gender == "female" for p in PEOPLE]) < 0.58


def test_all_ages_and_skins_occur() -> None:
    ages = np.array([p.age for p in PEOPLE])
    assert ages.min() >= 18
    assert ages.max() <= 75
    assert all(share(list((ages >= low) & (ages < low + 19))) > 0.12 for low in (18, 37, 56))
    melanin = np.array([p.skin.melanin for p in PEOPLE])
    assert all(share(list((melanin >= low) & (melanin <= low + 0.34))) > 0.2 for low in (0.0, 0.33, 0.66))


def test_frequencies_of_traits() -> None:
    assert 0.15 < share([p.glasses is not None for p in PEOPLE]) < 0.35
    assert 0.15 < share([p.beard is not None for p in PEOPLE]) < 0.35
    assert not any(p.beard for p in PEOPLE if p.gender == "female")
    assert 0.5 < share([len(p.skin.moles) > 0 for p in PEOPLE]) < 0.9
    assert 0.04 < share([p.skin.freckles > 0 for p in PEOPLE]) < 0.3
    styles = Counter(p.hair.style for p in PEOPLE)
    assert len(styles) == 12
    assert styles.most_common(1)[0][1] < 0.25 * len(PEOPLE)


def test_shapes_of_people_differ() -> None:
    shapes = [dict(p.shape) for p in PEOPLE[:40]]
    for i, first in enumerate(shapes):
        for second in shapes[:i]:
            names = first.keys() | second.keys()
            assert sum(abs(first.get(n, 0.0) - second.get(n, 0.0)) for n in names) > 5.0


def test_old_people_have_more_wrinkles() -> None:
    depth = {True: [], False: []}
    for somebody in PEOPLE:
        depth[somebody.age > 55].append(sum(c.depth for c in somebody.skin.creases if c.lightness == 0))
    assert np.mean(depth[True]) > 3 * np.mean(depth[False])


def test_most_faces_turn_less_than_20_degrees() -> None:
    yaw = np.abs([conditions(seed).pose.yaw for seed in range(500)])
    assert 0.75 < (yaw < 20).mean() < 0.95
    assert 30 < yaw.max() <= 55
