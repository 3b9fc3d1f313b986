"""What one training example is made of: some targets of a person, each degraded, and the references that they share.

Sharing lets a step compute the references' keys and values once for several targets, which is most of their cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from .corpus import Corpus, DataError, Picture
from .degradation import RANGES, degrade, draw


@dataclass(frozen=True)
class GroupSpec:
    """How examples are drawn.

    Attributes:
        targets: of one person that share their references; 1 is published.
        references: most references of an example; 0 trains without any.
        count: "all" uses as many as there are, "random" 1 to `references`, as often each.
        repeat: repeat references until there are `references` of them, as the published training does.
        augment: change the references' color, place and perspective, and mirror them, as published.
        variants: how many different examples each target gives; 0 is a new one every time. A limited number lets the
            latents be computed once (diffusion.cache).
        degradation: ranges of the degradation.
        severe: share of the targets that are degraded as the severe test set instead, where references matter most.
    """

    targets: int = 1
    references: int = 5
    count: Literal["all", "random"] = "all"
    repeat: bool = True
    augment: bool = True
    variants: int = 0
    degradation: Literal["training", "moderate", "severe"] = "training"
    severe: float = 0.0


@dataclass(frozen=True, eq=False)
class Group:
    """One example.

    Attributes:
        recipe: number of the example where there is a limited number of them, else its seed.
        targets: (targets, size, size, 3) uint8, the truth.
        lq: the same degraded.
        references: (references, size, size, 3) uint8.
    """

    recipe: int
    targets: NDArray[np.uint8]
    lq: NDArray[np.uint8]
    references: NDArray[np.uint8]


class Groups:
    """Draws examples of a corpus, each a function of one number.

    Args:
        corpus: to draw from.
        spec: how.

    Raises:
        DataError: references are asked for and a target has none.
    """

    def __init__(self, corpus: Corpus, spec: GroupSpec) -> None:
        self.corpus = corpus
        self.spec = spec
        if spec.references and any(not target.references for target in corpus.targets):
            raise DataError(
                "There are targets without references.",
                expected="a CSV with references for every target",
                remedy="set corpus.references, or groups.references: 0 to train without any",
            )
        self._augment = reference_augmentation() if spec.augment and spec.references else None

    @property
    def recipes(self) -> int:
        """Number of different examples; 0 where there is no limit."""
        return self.spec.variants * len(self.corpus.targets) // self.spec.targets

    def recipe(self, seed: int) -> int:
        """The example that a step's seed means."""
        return int(np.random.default_rng(seed).integers(self.recipes)) if self.recipes else seed

    def draw(self, recipe: int) -> Group:
        """The pictures of an example."""
        rng = np.random.default_rng(np.random.SeedSequence([recipe, 1]))
        targets, references = self._choose(rng, recipe)
        pictures = np.stack([self.corpus.picture(self.corpus.targets[i].picture) for i in targets])
        lq = np.stack([self._degraded(picture, rng) for picture in pictures])
        shown = [self._changed(self.corpus.picture(i), int(rng.integers(2**62))) for i in references]
        empty = np.zeros((0, *pictures.shape[1:]), dtype=np.uint8)
        return Group(recipe, pictures, lq, np.stack(shown) if shown else empty)

    def _degraded(self, picture: Picture, rng: np.random.Generator) -> Picture:
        # Drawn only where it is asked for: the examples of older configs stay what they were.
        severe = self.spec.severe > 0.0 and rng.random() < self.spec.severe
        return degrade(picture, draw(RANGES["severe" if severe else self.spec.degradation], int(rng.integers(2**62))))

    def _choose(self, rng: np.random.Generator, recipe: int) -> tuple[list[int], list[int]]:
        """Indices of targets, and of the pictures that are their references."""
        first = recipe % len(self.corpus.targets) if self.recipes else int(rng.integers(len(self.corpus.targets)))
        most = self.spec.references
        if not most:
            others = rng.integers(len(self.corpus.targets), size=self.spec.targets - 1)
            return [first, *(int(i) for i in others)], []
        available = self.corpus.targets[first].references
        count = min(len(available), int(rng.integers(1, most + 1)) if self.spec.count == "random" else most)
        if self.spec.targets > 1:  # some of the person's pictures must be left to be the other targets
            count = min(count, max(1, len(available) + 1 - self.spec.targets))
        references = [available[int(i)] for i in rng.permutation(len(available))[:count]]
        others = [i for i in self.corpus.sharing(references) if i != first]
        chosen = [first, *(others[int(i)] for i in rng.permutation(len(others))[: self.spec.targets - 1])]
        while len(chosen) < self.spec.targets:  # the same targets once more, degraded differently
            chosen.append(chosen[len(chosen) % (1 + len(others))])
        if self.spec.repeat:
            references = [references[i % count] for i in range(most)]
        return chosen, references

    def _changed(self, picture: Picture, seed: int) -> Picture:
        if self._augment is None:
            return picture
        with torch.random.fork_rng(devices=[]):  # pyright: ignore[reportUnknownMemberType]
            torch.default_generator.manual_seed(seed)
            return np.asarray(self._augment(Image.fromarray(picture)))


def reference_augmentation() -> Callable[[Image.Image], Image.Image]:
    """Color, place, perspective and mirroring of a reference, in the published strengths; PIL to PIL."""
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
    """Pictures (n, size, size, 3) uint8, several lots of them -> (all, 3, size, size) uint8."""
    return torch.as_tensor(np.concatenate(pictures)).movedim(-1, 1).contiguous()
