"""People -> training, validation and test split, and the references of each picture (ReF-LDM, section on FFHQ-Ref)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..face.identity import Embeddings
from .distances import distances_to, farthest_points

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class SplitSettings:
    """How people and references are chosen; the defaults are the paper's, but for the two sizes, which are rounded.

    Attributes:
        same_person: distance (1 - cos) below which two faces are one person's.
        near_duplicate: distance up to which two pictures are too alike to be target and reference of a test.
        validation, test: people of these splits: below 1 a share of all with two photos or more (at least one person,
            where there are three), else a number.
        least_references: a test target has as many at least; training and validation take one.
        most_references: a test target has as many at most.
        train_references: a target of training or validation has as many at most.
        seed: of the choice of people.

    Raises:
        SettingsError: a number outside its range.
    """

    same_person: float = 0.4
    near_duplicate: float = 0.1
    validation: float = 0.05
    test: float = 0.025
    least_references: int = 2
    most_references: int = 9
    train_references: int = 30
    seed: int = 2024

    def __post_init__(self) -> None:
        if not 0.0 <= self.near_duplicate < self.same_person <= 2.0:
            raise SettingsError(
                f"Distances of {self.near_duplicate} for duplicates and {self.same_person} for one person.",
                expected="0 <= near duplicates < same person <= 2",
                remedy="leave the defaults: 0.1 and 0.4",
            )
        if not 1 <= self.least_references <= self.most_references or self.train_references < 1:
            raise SettingsError(
                f"{self.least_references} to {self.most_references} references for tests, up to "
                f"{self.train_references} for training.",
                expected="at least 1, and no more at least than at most",
                remedy="leave the defaults: 2 to 9, and 30",
            )
        shares = sum(size for size in (self.validation, self.test) if size < 1)
        if min(self.validation, self.test) < 0 or shares > 1:
            raise SettingsError(
                f"Splits of {self.validation:g} for validation and {self.test:g} for test.",
                expected="shares from 0 that leave some people for training, or numbers of people from 1",
                remedy="leave the defaults: 0.05 and 0.025",
            )


@dataclass(frozen=True)
class Row:
    """A picture and its references, by index, the most different first."""

    target: int
    references: tuple[int, ...]


def group_members(labels: NDArray[np.int64]) -> list[list[int]]:
    """(n,) a number for each picture -> the pictures of each group, in their order, by first picture."""
    members: dict[int, list[int]] = {}
    for i, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(i)
    return list(members.values())


def references_of(
    target: int, members: Sequence[int], embeddings: Embeddings, split: Split, settings: SplitSettings
) -> tuple[int, ...]:
    """The references of a picture: others of the person within `same_person` of it, in farthest-point order.

    Args:
        target: index of the picture.
        members: indices of the person's pictures.
        embeddings: (n, d) of all pictures.
        split: test takes only pictures beyond `near_duplicate` from the target.
        settings: the limits.

    Returns:
        () where there are fewer than the split's least number.
    """
    others = np.array([i for i in members if i != target], dtype=np.int64)
    distances = distances_to(embeddings[others], embeddings[target])
    nearest = settings.near_duplicate if split == "test" else -1.0
    others = others[(distances < settings.same_person) & (distances > nearest)]
    test = split == "test"
    least, most = (settings.least_references, settings.most_references) if test else (1, settings.train_references)
    if len(others) < least:
        return ()
    order = farthest_points(embeddings[target], embeddings[others], most)
    return tuple(int(others[i]) for i in order)


def rows_of(members: Sequence[int], embeddings: Embeddings, split: Split, settings: SplitSettings) -> list[Row]:
    """The person's pictures that have references enough for the split, with them; see `references_of`."""
    candidates = ((i, references_of(i, members, embeddings, split, settings)) for i in members)
    return [Row(target, references) for target, references in candidates if references]


def assign_splits(
    people: Sequence[Sequence[str]],
    can_test: Callable[[int], bool],
    settings: SplitSettings,
    previous: Mapping[str, Split] | None = None,
) -> list[Split]:
    """Give each person one split.

    People are drawn in an order that depends on the seed and each one's first picture alone.

    Args:
        people: names of each one's pictures.
        can_test: whether the person (by index) has a picture with references enough for a test.
        settings: sizes and seed.
        previous: split of pictures by an earlier build. Their people stay there; where new pictures show that people
            of two splits are one, all go to the one that was trained on more: train before val before test.

    Returns:
        One for each person. Test has fewer than asked for where too few can be tested.
    """
    earlier: list[Split | None] = [_earlier(names, previous or {}) for names in people]
    kept: dict[int, Split] = {}
    for i, before in enumerate(earlier):
        if before is not None and (before != "test" or can_test(i)):
            kept[i] = before
    order = sorted((i for i in range(len(people)) if i not in kept), key=lambda i: _draw(min(people[i]), settings.seed))
    sizes: tuple[tuple[Split, float], ...] = (("test", settings.test), ("val", settings.validation))
    for split, size in sizes:
        wanted = _people_wanted(size, len(people)) - list(kept.values()).count(split)
        for i in order:
            if wanted <= 0:
                break
            if i not in kept and (split != "test" or can_test(i)):
                kept[i] = split
                wanted -= 1
    return [kept.get(i, "train") for i in range(len(people))]


def _earlier(names: Sequence[str], previous: Mapping[str, Split]) -> Split | None:
    earlier_splits = {previous[name] for name in names if name in previous}
    return next((split for split in SPLITS if split in earlier_splits), None)


def _draw(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _people_wanted(size: float, people: int) -> int:
    if size >= 1:
        return round(size)
    return max(1, round(size * people)) if size > 0 and people >= 3 else 0
