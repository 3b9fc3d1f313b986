"""Tests of measuring a restoration against the rendered truth."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from refldm_core.data.attributes import Truth, lab, measure
from refldm_core.errors import ImageFileError
from refldm_core.synthetic.conditions import Conditions, Expression, Pose, conditions
from refldm_core.synthetic.identity import person
from refldm_core.synthetic.portrait import portrait
from refldm_core.synthetic.regions import STANDARD_GLASSES, regions
from refldm_core.synthetic.traits import Beard, Person

SIZE = 96
DARK = (0.12, 0.09, 0.07)


def frontal(seed: int) -> Conditions:
    return replace(conditions(seed), pose=Pose(0.0, 0.0, 0.0), expression=Expression(raise_brows=0.2))


def truth_of(who: Person, view: Conditions, size: int = SIZE) -> Truth:
    return Truth.of(portrait(who, view, size), regions(who, view, size))


@lru_cache(maxsize=16)
def truth_without_extras(seed: int, size: int = SIZE) -> Truth:
    """Return the truth of a person without glasses and beard."""
    return truth_of(without_extras(seed), frontal(seed), size)


def without_extras(seed: int) -> Person:
    return replace(person(seed), glasses=None, beard=None)


def with_glasses(seed: int) -> Person:
    return replace(without_extras(seed), glasses=STANDARD_GLASSES)


def with_beard(seed: int) -> Person:
    return replace(without_extras(seed), beard=Beard("short", DARK, 0.0))


def _blurred(picture: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def test_lab_agrees_with_scikit_image() -> None:
    color = pytest.importorskip("skimage.color")
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(lab(picture), color.rgb2lab(picture), atol=0.02)


@pytest.mark.parametrize("size", [96, 112, 128])
def test_the_truth_itself_has_every_attribute(size: int) -> None:
    for seed, who in ((2, without_extras(2)), (4, with_glasses(4)), (4, with_beard(4))):
        truth = truth_of(who, frontal(seed), size)
        exact = measure(truth.picture, truth)
        assert (exact.iris_error, exact.moles_found) == (0.0, exact.moles)
        assert (exact.glasses_right, exact.beard_right) == (True, True)
        slightly = measure(_blurred(truth.picture, 0.4), truth)
        assert slightly.iris_error is not None and slightly.iris_error < 12
        assert (slightly.glasses_right, slightly.beard_right) == (True, True)


@pytest.mark.parametrize("seed", [2, 4])
def test_missing_moles_glasses_and_beard_are_noticed(seed: int) -> None:
    view = frontal(seed)
    without_moles = replace(without_extras(seed), skin=replace(person(seed).skin, moles=()))
    restored = portrait(without_moles, view, SIZE).picture
    assert truth_without_extras(seed).moles.size and measure(restored, truth_without_extras(seed)).moles_found == 0
    assert not measure(restored, truth_of(with_glasses(seed), view)).glasses_right
    assert not measure(restored, truth_of(with_beard(seed), view)).beard_right


@pytest.mark.parametrize("seed", [2, 4])
def test_glasses_and_a_beard_that_the_person_does_not_wear_are_wrong(seed: int) -> None:
    assert not measure(
        portrait(with_glasses(seed), frontal(seed), SIZE).picture, truth_without_extras(seed)
    ).glasses_right
    bearded = measure(portrait(with_beard(seed), frontal(seed), SIZE).picture, truth_without_extras(seed))
    assert bearded.glasses_right and not bearded.beard_right


def test_another_iris_color_is_an_error() -> None:
    who = without_extras(2)
    recolored = replace(who, eyes=replace(who.eyes, color=(0.1, 0.8, 0.9), inner_color=(0.1, 0.8, 0.9)))
    error = measure(portrait(recolored, frontal(2), SIZE).picture, truth_without_extras(2)).iris_error
    assert error is not None and error > 15


def test_a_severe_blur_hides_moles_and_changes_irises() -> None:
    results = []
    for seed in (2, 4):
        truth = truth_without_extras(seed)
        coarse = Image.fromarray(truth.picture).resize((14, 14), Image.Resampling.BOX)
        results.append(measure(np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC)), truth))
    assert sum(r.moles_found for r in results) == 0 < sum(r.moles for r in results)
    assert np.mean([r.iris_error for r in results if r.iris_error is not None]) > 5


def test_a_hidden_chin_allows_no_judgment_about_the_beard() -> None:
    truth = truth_without_extras(2)
    hidden = replace(truth, regions=replace(truth.regions, beard=np.zeros((SIZE, SIZE), dtype=np.bool_)))
    assert measure(truth.picture, hidden).beard_right is None


def test_regions_lie_around_their_features() -> None:
    """The frame lies around the eyes, the beard around the mouth, and the cheeks between them."""
    where = truth_without_extras(2).regions
    left_eye, right_eye, nose, *mouth = portrait(without_extras(2), frontal(2), SIZE).landmarks
    rows = {name: np.nonzero(mask)[0] for name, mask in vars(where).items()}
    eyes_y, mouth_y = (left_eye[1] + right_eye[1]) / 2, (mouth[0][1] + mouth[1][1]) / 2
    assert abs(rows["frame"].mean() - eyes_y) < 0.08 * SIZE
    assert rows["beard"].mean() > nose[1] and rows["beard"].min() < mouth_y < rows["beard"].max()
    assert eyes_y < rows["cheeks"].mean() < mouth_y
    assert not (where.frame & where.beside_frame).any() and not (where.beard & where.cheeks).any()


def test_another_size_is_refused() -> None:
    with pytest.raises(ImageFileError, match="of its size"):
        measure(truth_without_extras(2).picture[:32], truth_without_extras(2))
