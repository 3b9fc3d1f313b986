"""Draw training examples: targets of one person, each degraded, and the references that they share.

Most of the cost of references is computing their keys and values. A step computes them once for all targets that share
the references.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..ranges import check_ranges, ranged_field
from .corpus import Corpus, DataError, Picture
from .degradation import RANGES, degrade, draw


@dataclass(frozen=True)
class GroupSpec:
    """How examples are drawn.

    Attributes:
        targets: number of targets of one person that share their references. The published training uses 1.
        references: most references of an example; 0 trains without references.
        count: "all" uses all available references, up to `references`. "random" uses 1 to `references`, each number
            equally often.
        repeat: repeat references until there are `references` of them, as the published training does.
        augment: change the color, position and perspective of references, and mirror them, as the published training
            does.
        variants: number of different examples of each target; 0 draws a new example every time. With a limited number,
            latents can be cached (diffusion.cache).
        degradation: kind of degradation, which sets the ranges.
        severe: share of the targets that are degraded like the severe test set instead, where references matter most.

    Raises:
        OutOfRangeError: a number is outside its range.
    """

    targets: int = ranged_field(1, 1, 1024)
    references: int = ranged_field(5, 0, 1024)
    count: Literal["all", "random"] = "all"
    repeat: bool = True
    augment: bool = True
    variants: int = ranged_field(0, 0, 10**9)
    degradation: Literal["training", "moderate", "severe"] = "training"
    severe: float = ranged_field(0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True, eq=False)
class Group:
    """One example.

    Attributes:
        recipe: number of the example where their number is limited, else its seed.
        targets: (targets, size, size, 3) uint8: the true pictures.
        lq: the targets degraded, in the same shape.
        references: (references, size, size, 3) uint8.
    """

    recipe: int
    targets: NDArray[np.uint8]
    lq: NDArray[np.uint8]
    references: NDArray[np.uint8]


class Groups:
    """Draws examples from a corpus. Each example is a function of one number, its recipe.

    Args:
        corpus: corpus to draw from.
        spec: how examples are drawn.

    Raises:
        DataError: `spec` asks for references, and a target has none.
    """

    def __init__(self, corpus: Corpus, spec: GroupSpec) -> None:
        self.corpus = corpus
        self.spec = spec
        if spec.references and any(not target.references for target in corpus.targets):
            raise DataError(
                "There are targets without references.",
                expected="a CSV with references for every target",
                remedy="set corpus.references, or groups.references: 0 to train without references",
            )
        self._augment = reference_augmentation() if spec.augment and spec.references else None

    @property
    def recipes(self) -> int:
        """Number of different examples; 0 where it is not limited."""
        return self.spec.variants * len(self.corpus.targets) // self.spec.targets

    def recipe(self, seed: int) -> int:
        """Return the recipe that the seed of an item selects."""
        return int(np.random.default_rng(seed).integers(self.recipes)) if self.recipes else seed

    def draw(self, recipe: int) -> Group:
        """Return the example of a recipe."""
        rng = np.random.default_rng(np.random.SeedSequence([recipe, 1]))
        targets, references = self._choose_pictures(rng, recipe)
        pictures = np.stack([self.corpus.picture(self.corpus.targets[i].picture) for i in targets])
        lq = np.stack([self._degrade(picture, rng) for picture in pictures])
        augmented = [self._augment_picture(self.corpus.picture(i), int(rng.integers(2**62))) for i in references]
        empty = np.zeros((0, *pictures.shape[1:]), dtype=np.uint8)
        return Group(recipe, pictures, lq, np.stack(augmented) if augmented else empty)

    def _degrade(self, picture: Picture, rng: np.random.Generator) -> Picture:
        # The number is drawn only where it is needed, so that the examples of older configs do not change.
        severe = self.spec.severe > 0.0 and rng.random() < self.spec.severe
        return degrade(picture, draw(RANGES["severe" if severe else self.spec.degradation], int(rng.integers(2**62))))

    def _choose_pictures(self, rng: np.random.Generator, recipe: int) -> tuple[list[int], list[int]]:
        """Return the indices of the targets, and the indices of the pictures that are their references."""
        first = recipe % len(self.corpus.targets) if self.recipes else int(rng.integers(len(self.corpus.targets)))
        most = self.spec.references
        if not most:
            further = rng.integers(len(self.corpus.targets), size=self.spec.targets - 1)
            return [first, *(int(i) for i in further)], []
        available = self.corpus.targets[first].references
        count = min(len(available), int(rng.integers(1, most + 1)) if self.spec.count == "random" else most)
        if self.spec.targets > 1:  # leave some of the person's pictures for the other targets
            count = min(count, max(1, len(available) + 1 - self.spec.targets))
        references = [available[int(i)] for i in rng.permutation(len(available))[:count]]
        candidates = [i for i in self.corpus.sharing(references) if i != first]
        chosen = [first, *(candidates[int(i)] for i in rng.permutation(len(candidates))[: self.spec.targets - 1])]
        while len(chosen) < self.spec.targets:  # repeat targets; each repetition is degraded differently
            chosen.append(chosen[len(chosen) % (1 + len(candidates))])
        if self.spec.repeat:
            references = [references[i % count] for i in range(most)]
        return chosen, references

    def _augment_picture(self, picture: Picture, seed: int) -> Picture:
        if self._augment is None:
            return picture
        with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]
            torch.default_generator.manual_seed(seed)
            return np.asarray(self._augment(Image.fromarray(picture)))


def reference_augmentation() -> Callable[[Image.Image], Image.Image]:
    """Return a function that changes color, position and perspective of a reference at random and mirrors it.

    The strengths are the published ones. The function draws from torch's default generator.
    """
    from torchvision.transforms import (  # noqa: PLC0415 (optional)  # pyright: ignore[reportMissingTypeStubs]
        ColorJitter,
        Compose,
        InterpolationMode,
        RandomAffine,
        RandomHorizontalFlip,
        RandomPerspective,
    )

    smooth = InterpolationMode.BILINEAR
    return Compose(
        [
            ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.02),
            RandomAffine(degrees=2, translate=(0.05, 0.05), scale=(0.95, 1.05), interpolation=smooth),
            RandomPerspective(distortion_scale=0.2, p=1.0, interpolation=smooth),
            RandomHorizontalFlip(p=0.5),
        ]
    )


def stack(pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """Join arrays of pictures, each (n, size, size, 3) uint8, into one tensor (total, 3, size, size) uint8."""
    return torch.as_tensor(np.concatenate(pictures)).movedim(-1, 1).contiguous()
