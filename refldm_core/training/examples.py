"""Examples of the first stage (pictures) and of the diffusion model (groups of targets with their references)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.corpus import Corpus
from ..data.groups import Group, Groups, stack
from .latents import LatentCache
from .losses import face_weights
from .task import Batch, Examples, derive


class WeightedPicture(NamedTuple):
    """A picture or a window of it, (height, width, 3) uint8, and the weights of its pixels, (height, width)."""

    picture: NDArray[np.uint8]
    weights: Tensor


class PictureExamples(Examples):
    """Pictures of a corpus, or random windows of them.

    Args:
        corpus: its targets are the pictures.
        size: height and width of the pictures in pixels.
        crop: height and width of the windows in pixels; 0 takes whole pictures.
        face_weight: additional weight of the eyes and the mouth; see `face_weights`.
    """

    def __init__(self, corpus: Corpus, size: int, crop: int, face_weight: float) -> None:
        self.corpus = corpus
        self.crop = crop
        self.weights = face_weights(size, size, face_weight)

    def __getitem__(self, seed: int) -> WeightedPicture:
        rng = np.random.default_rng(seed)
        picture = self.corpus.picture(self.corpus.targets[int(rng.integers(len(self.corpus.targets)))].picture)
        if not self.crop:
            return WeightedPicture(picture, self.weights)
        top, left = (int(rng.integers(len(picture) - self.crop + 1)) for _ in range(2))
        window = (slice(top, top + self.crop), slice(left, left + self.crop))
        return WeightedPicture(picture[window], self.weights[window])

    def collate(self, items: Sequence[WeightedPicture]) -> Batch:
        """See `Examples`. The batch has `pictures` (n, 3, height, width) uint8 and `weights` (n, 1, height, width)."""
        pictures = stack([item.picture[None] for item in items])
        return {"pictures": pictures, "weights": torch.stack([item.weights for item in items]).unsqueeze(1)}


class GroupExamples(Examples):
    """Groups of targets with the references that they share.

    Args:
        groups: draws the groups.
        cache: cache of latents, or None. A group whose latents are cached comes without pictures.
        pictures_needed: whether every group comes with its pictures.
    """

    def __init__(self, groups: Groups, cache: LatentCache | None, *, pictures_needed: bool) -> None:
        self.groups = groups
        self.cache = cache
        self.pictures_needed = pictures_needed

    def __getitem__(self, seed: int) -> tuple[int, Group]:
        recipe = self.groups.recipe(derive(seed, 1))
        if self.cache is not None and not self.pictures_needed and self.cache.contains(recipe):
            empty = np.zeros((0, 0, 0, 3), dtype=np.uint8)
            return seed, Group(recipe, empty, empty, empty)
        return seed, self.groups.draw(recipe)

    def collate(self, items: Sequence[tuple[int, Group]]) -> Batch:
        """See `Examples`. The batch has the lists `seeds` and `groups`."""
        return {"seeds": [seed for seed, _ in items], "groups": [group for _, group in items]}
