"""Tests of splits by person, and of references, against their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refldm_core.data.splits import (
    Row,
    Split,
    SplitSettings,
    assign_splits,
    group_members,
    references_of,
    rows_of,
)
from refldm_core.errors import SettingsError

SETTINGS = SplitSettings()
PEOPLE = [[f"{person:03}_{i}.png" for i in range(2 + person % 4)] for person in range(200)]


def on_circle(*distances: float) -> np.ndarray:
    """Return unit vectors at these distances (1 - cos) from the first one, all in one plane and on one side of it."""
    angles = np.arccos(1.0 - np.array([0.0, *distances]))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def always(i: int) -> bool:
    return True


def counts(splits: list[Split]) -> tuple[int, int, int]:
    return splits.count("train"), splits.count("val"), splits.count("test")


def test_groups_are_sorted_by_their_first_members() -> None:
    assert group_members(np.array([5, 2, 5, 0, 2])) == [[0, 2], [1, 4], [3]]


def test_test_references_are_neither_near_duplicates_nor_beyond_the_limit() -> None:
    embeddings = on_circle(0.05, 0.2, 0.35, 0.5)
    members = range(5)
    assert set(references_of(0, members, embeddings, "test", SETTINGS)) == {2, 3}
    assert set(references_of(0, members, embeddings, "train", SETTINGS)) == {1, 2, 3}
    assert references_of(0, members, embeddings, "test", replace(SETTINGS, least_references=3)) == ()
    assert references_of(0, members, embeddings, "test", SETTINGS) == (3, 2), "the farthest first"
    assert references_of(0, members, embeddings, "val", replace(SETTINGS, train_references=1)) == (3,)


def test_test_targets_have_two_to_nine_references() -> None:
    random = np.random.default_rng(0)
    spread = random.standard_normal((16, 8)) * 0.25 + np.eye(8)[0]
    embeddings = (spread / np.linalg.norm(spread, axis=1, keepdims=True)).astype(np.float32)
    rows = rows_of(range(16), embeddings, "test", SETTINGS)
    exact = 1.0 - embeddings.astype(np.float64) @ embeddings.T.astype(np.float64)
    sizes = {len(row.references) for row in rows}
    assert max(sizes) == 9 and len(rows) > 5
    for row in rows:
        assert 2 <= len(row.references) <= 9
        assert all(0.1 < exact[row.target, i] < 0.4 for i in row.references)
    allowed = {i: [j for j in range(16) if 0.1 < exact[i, j] < 0.4] for i in range(16)}
    assert {row.target for row in rows} == {i for i, references in allowed.items() if len(references) >= 2}


def test_a_pair_gives_rows_for_training_only() -> None:
    embeddings = on_circle(0.2)
    assert rows_of([0, 1], embeddings, "train", SETTINGS) == [Row(0, (1,)), Row(1, (0,))]
    assert rows_of([0, 1], embeddings, "test", SETTINGS) == []


def test_splits_have_the_sizes_of_the_settings() -> None:
    assert counts(assign_splits(PEOPLE, always, SETTINGS)) == (185, 10, 5)
    published = replace(SETTINGS, validation=30, test=15)
    assert counts(assign_splits(PEOPLE, always, published)) == (155, 30, 15)
    assert counts(assign_splits(PEOPLE[:5], always, SETTINGS)) == (3, 1, 1)
    assert counts(assign_splits(PEOPLE[:2], always, SETTINGS)) == (2, 0, 0)
    assert counts(assign_splits([], always, SETTINGS)) == (0, 0, 0)
    assert counts(assign_splits(PEOPLE, always, replace(SETTINGS, validation=0, test=0))) == (200, 0, 0)


def test_only_people_who_can_be_tested_are_in_the_test_split() -> None:
    testable = {3, 50, 51}
    splits = assign_splits(PEOPLE, testable.__contains__, replace(SETTINGS, test=15))
    assert {i for i, split in enumerate(splits) if split == "test"} == testable


def test_the_seed_decides_which_people_are_drawn() -> None:
    first = assign_splits(PEOPLE, always, SETTINGS)
    assert first == assign_splits(PEOPLE, always, SETTINGS)
    assert first != assign_splits(PEOPLE, always, replace(SETTINGS, seed=7))


def test_people_stay_in_their_split_when_people_are_added() -> None:
    first = assign_splits(PEOPLE[:100], always, SETTINGS)
    previous = {name: split for names, split in zip(PEOPLE[:100], first, strict=True) for name in names}
    grown = assign_splits(PEOPLE, always, SETTINGS, previous)
    assert grown[:100] == first
    assert counts(grown) == (185, 10, 5)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [(["test", "train"], "train"), (["test", "val"], "val"), (["train", "val"], "train"), (["test"], "test")],
)
def test_people_of_two_splits_who_are_the_same_go_to_one_split(splits: list[Split], expected: Split) -> None:
    previous = {f"{i}.png": split for i, split in enumerate(splits)}
    people = [[*previous, "new.png"]]
    assert assign_splits(people, always, replace(SETTINGS, validation=0, test=0), previous) == [expected]


def test_a_former_test_person_who_cannot_be_tested_goes_to_training() -> None:
    previous: dict[str, Split] = dict.fromkeys(PEOPLE[0], "test")
    splits = assign_splits(PEOPLE[:1], lambda i: False, SETTINGS, previous)
    assert splits == ["train"]


@pytest.mark.parametrize(
    "changes",
    [
        {"near_duplicate": 0.5},
        {"same_person": 2.5},
        {"near_duplicate": -0.1},
        {"least_references": 0},
        {"least_references": 10},
        {"train_references": 0},
        {"validation": -1},
        {"validation": 0.6, "test": 0.6},
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        replace(SETTINGS, **changes)  # type: ignore[arg-type]
