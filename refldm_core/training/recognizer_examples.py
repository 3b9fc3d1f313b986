"""Examples for the small face recognizer: people in several framings, colors and qualities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.corpus import Corpus
from ..data.degradation import RANGES, DegradationRanges, degrade, draw
from ..face.alignment import FFHQ_SIZE, FFHQ_TEMPLATE, similarity
from ..face.identity import ARCFACE_SIZE, ARCFACE_TEMPLATE
from ..face.types import Matrix, compose
from ..face.warping import shift, warp
from .photometric import strong_photometric
from .task import Batch, Examples, TrainingError

_MARGIN = FFHQ_SIZE // 16
CENTER_TEMPLATE = (FFHQ_TEMPLATE + 0.5 - _MARGIN) * (ARCFACE_SIZE / (FFHQ_SIZE - 2 * _MARGIN)) - 0.5
"""(5, 2) landmarks in the crop of the published identity loss: the middle 7/8 of an FFHQ crop, shrunk to 112 pixels."""

_SOFT = DegradationRanges((0.0, 6.0), (1.0, 9.0), (0.0, 6.0), (60, 100))
"""Mild degradation, like that of a small first stage or of a modest photo. Parameters are stated for 512 pixels."""
_SHARP, _SOFTENED = 0.45, 0.85
"""Cumulative shares of sharp and of mildly degraded pictures. The others are degraded like the moderate test set."""


class PersonPictures(NamedTuple):
    """Pictures of one person.

    Attributes:
        pictures: (n, 3, 112, 112) in [-1, 1].
        numbers: (n,) the person's number, n times. It is negative for a mirrored person.
    """

    pictures: Tensor
    numbers: Tensor


class PeopleExamples(Examples):
    """Examples of several pictures of one person in different framings, colors and qualities.

    Half of the examples are mirrored. A mirrored person counts as another person, because no face is symmetric.

    Args:
        corpus: corpus of aligned crops.
        pictures: number of pictures of the person in an example.

    Raises:
        TrainingError: the corpus has fewer than two people with two pictures.
    """

    def __init__(self, corpus: Corpus, pictures: int) -> None:
        self.corpus = corpus
        self.pictures = pictures
        self.people = [person for person in corpus.people if len(person) > 1]
        if len(self.people) < 2:
            raise TrainingError(
                f"{len(self.people)} people of the corpus have two pictures or more.",
                expected="at least two such people",
                remedy="raise corpus.people and corpus.pictures, or name the references CSV of the folder",
            )

    def __getitem__(self, seed: int) -> PersonPictures:
        rng = np.random.default_rng(seed)
        number = int(rng.integers(len(self.people)))
        person, mirrored = self.people[number], rng.random() < 0.5
        chosen = rng.choice(len(person), self.pictures, replace=len(person) < self.pictures)
        crops = [training_crop(self.corpus, person[int(i)], rng, mirrored=mirrored) for i in chosen]
        return PersonPictures(torch.stack(crops), torch.full((len(crops),), -1 - number if mirrored else number))

    def collate(self, items: Sequence[PersonPictures]) -> Batch:
        """See `Examples`. The batch has `pictures` (n, 3, 112, 112) in [-1, 1] and `person` (n,)."""
        return {
            "pictures": torch.cat([item.pictures for item in items]),
            "person": torch.cat([item.numbers for item in items]),
        }


def training_crop(corpus: Corpus, index: int, rng: np.random.Generator, *, mirrored: bool) -> Tensor:
    """Return a picture as a recognizer gets it in practice: in any quality, and aligned to slightly wrong landmarks.

    The crop is aligned to ArcFace's template or cut as in the published identity loss. The changes of color and tone
    are strong, so that a network that knows only rendered pictures also works on photographs.

    Args:
        corpus: corpus of aligned crops.
        index: index of the picture.
        rng: random numbers for everything else.
        mirrored: whether to exchange left and right.

    Returns:
        (3, 112, 112) RGB in [-1, 1].
    """
    picture, landmarks = corpus.picture(index), corpus.landmarks(index)
    quality = rng.random()
    if quality >= _SHARP:
        ranges = _SOFT if quality < _SOFTENED else RANGES["moderate"]
        picture = degrade(picture, draw(ranges, int(rng.integers(2**32))))
    framing = ARCFACE_TEMPLATE if rng.random() < 0.5 else CENTER_TEMPLATE
    matrix = compose(_jitter(rng), similarity(landmarks, framing))
    image = torch.tensor(picture).movedim(-1, 0).float() / 255.0
    crop = warp(image, matrix, (ARCFACE_SIZE, ARCFACE_SIZE)).clamp(0.0, 1.0)
    crop = strong_photometric(crop, rng) * 2.0 - 1.0
    return crop.flip(-1) if mirrored else crop


def _jitter(rng: np.random.Generator) -> Matrix:
    """Return a (2, 3) matrix that turns, scales and shifts a crop a little, as errors of a detector do."""
    angle, scale = rng.normal(0.0, 0.03), math.exp(rng.normal(0.0, 0.03))
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    middle = (ARCFACE_SIZE - 1) / 2
    turn = np.array([[a, -b, 0.0], [b, a, 0.0]])
    x, y = rng.normal(0.0, 1.2, 2)
    return compose(shift(middle + x, middle + y), compose(turn, shift(-middle, -middle)))
