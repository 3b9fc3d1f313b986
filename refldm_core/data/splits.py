"""Assign people to splits (train, val, test) and references to pictures (ReF-LDM, section on FFHQ-Ref)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..face.identity import Embeddings
from .build_settings import SplitSettings
from .distances import distances_to, farthest_points

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Row:
    """Indices of a picture and of its references. The references are in farthest-point order."""

    target: int
    references: tuple[int, ...]


def group_members(labels: NDArray[np.int64]) -> list[list[int]]:
    """Return the indices of the pictures of each group, in ascending order.

    Args:
        labels: (n,) number of each picture's group.

    Returns:
        The groups, sorted by their first pictures.
    """
    members: dict[int, list[int]] = {}
    for i, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(i)
    return list(members.values())


def references_of(
    target: int, members: Sequence[int], embeddings: Embeddings, split: Split, settings: SplitSettings
) -> tuple[int, ...]:
    """Choose the references of a picture: other pictures of the person that are less than `same_person` apart from it.

    Args:
        target: index of the picture.
        members: indices of the person's pictures.
        embeddings: (n, d) of all pictures.
        split: "test" takes only pictures more than `near_duplicate` apart from the target.
        settings: the limits.

    Returns:
        Indices in farthest-point order; () where there are fewer than the least number of the split.
    """
    candidates = np.array([i for i in members if i != target], dtype=np.int64)
    distances = distances_to(embeddings[candidates], embeddings[target])
    nearest = settings.near_duplicate if split == "test" else -1.0
    candidates = candidates[(distances < settings.same_person) & (distances > nearest)]
    test = split == "test"
    least, most = (settings.least_references, settings.most_references) if test else (1, settings.train_references)
    if len(candidates) < least:
        return ()
    order = farthest_points(embeddings[target], embeddings[candidates], most)
    return tuple(int(candidates[i]) for i in order)


def rows_of(members: Sequence[int], embeddings: Embeddings, split: Split, settings: SplitSettings) -> list[Row]:
    """Return the pictures of a person that have enough references for the split; see `references_of`."""
    candidates = ((i, references_of(i, members, embeddings, split, settings)) for i in members)
    return [Row(target, references) for target, references in candidates if references]


def assign_splits(
    people: Sequence[Sequence[str]],
    can_test: Callable[[int], bool],
    settings: SplitSettings,
    previous: Mapping[str, Split] | None = None,
) -> list[Split]:
    """Assign each person to one split.

    People are drawn in an order that depends only on the seed and on the first of each person's names of pictures.

    Args:
        people: names of each person's pictures.
        can_test: whether a person (by index) has a picture with enough references for a test.
        settings: sizes and seed.
        previous: split of each picture in an earlier build. Its people stay in their splits. Where new pictures show
            that people of two splits are the same person, the person goes to the first of train, val and test among
            them.

    Returns:
        The split of each person. The test split is smaller than `settings` says where too few people can be tested.
    """
    assigned: dict[int, Split] = {}
    for i, names in enumerate(people):
        earlier = _earlier_split(names, previous or {})
        if earlier is not None and (earlier != "test" or can_test(i)):
            assigned[i] = earlier
    order = sorted(
        (i for i in range(len(people)) if i not in assigned), key=lambda i: _draw(min(people[i]), settings.seed)
    )
    sizes: tuple[tuple[Split, float], ...] = (("test", settings.test), ("val", settings.validation))
    for split, size in sizes:
        missing = _people_in_split(size, len(people)) - list(assigned.values()).count(split)
        for i in order:
            if missing <= 0:
                break
            if i not in assigned and (split != "test" or can_test(i)):
                assigned[i] = split
                missing -= 1
    return [assigned.get(i, "train") for i in range(len(people))]


def _earlier_split(names: Sequence[str], previous: Mapping[str, Split]) -> Split | None:
    earlier_splits = {previous[name] for name in names if name in previous}
    return next((split for split in SPLITS if split in earlier_splits), None)


def _draw(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _people_in_split(size: float, people: int) -> int:
    if size >= 1:
        return round(size)
    return max(1, round(size * people)) if size > 0 and people >= 3 else 0
