"""The settings of building a dataset from photos.

This module imports no library, so that the command line shows the defaults at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import SettingsError
from ..face.constants import FFHQ_SIZE

Several = Literal["largest", "skip"]


@dataclass(frozen=True)
class ReadingSettings:
    """How faces are taken from photos.

    Attributes:
        aligned: whether the photos are already aligned crops, as in FFHQ. The detector is then not used.
        crop_size: side of the crops in pixels.
        min_size: smallest size of a face box in the photo, in pixels. Smaller faces do not count.
        several: for a photo with several faces: "largest" takes the largest face, "skip" leaves the photo out.

    Raises:
        SettingsError: the crops are below 16 pixels, or a size is negative.
    """

    aligned: bool = False
    crop_size: int = FFHQ_SIZE
    min_size: float = 80.0
    several: Several = "largest"

    def __post_init__(self) -> None:
        if self.crop_size < 16 or self.min_size < 0:
            raise SettingsError(
                f"The crop size is {self.crop_size} pixels and the smallest face {self.min_size:g}.",
                expected="crops of 16 pixels or more, and no negative size",
                remedy="leave the defaults: 512 and 80",
            )


@dataclass(frozen=True)
class SplitSettings:
    """How people and references are chosen. The defaults are the paper's, but `validation` and `test` are rounded.

    Attributes:
        same_person: distance (1 - cos) below which two faces belong to one person.
        near_duplicate: distance up to which two pictures are too similar to be target and reference of a test.
        validation, test: size of these splits. A value below 1 is a share of the people with two photos or more, and at
            least one person where there are three. A value from 1 on is a number of people.
        least_references: least references of a test target. Targets of training and validation need one.
        most_references: most references of a test target.
        train_references: most references of a target of training or validation.
        seed: seed of the choice of people.

    Raises:
        SettingsError: a number is outside its range.
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
                f"The distances are {self.near_duplicate} for near-duplicates and {self.same_person} for one person.",
                expected="0 <= near-duplicate < same person <= 2",
                remedy="leave the defaults: 0.1 and 0.4",
            )
        if not 1 <= self.least_references <= self.most_references or self.train_references < 1:
            raise SettingsError(
                f"A test target has {self.least_references} to {self.most_references} references, and a training "
                f"target has up to {self.train_references}.",
                expected="numbers from 1, and a least number that is no larger than the most",
                remedy="leave the defaults: 2 to 9, and 30",
            )
        shares = sum(size for size in (self.validation, self.test) if size < 1)
        if min(self.validation, self.test) < 0 or shares > 1:
            raise SettingsError(
                f"The splits are {self.validation:g} for validation and {self.test:g} for test.",
                expected="shares from 0 that leave some people for training, or numbers of people from 1",
                remedy="leave the defaults: 0.05 and 0.025",
            )
