"""Measuring a restoration against the drawn truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from refldm_core.data.attributes import lab, measure
from refldm_core.data.synthetic import SyntheticPerson, conditions, person, render
from refldm_core.errors import ImageFileError

PEOPLE = [person(i) for i in range(900, 930)]


def _blurred(picture: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def test_lab_agrees_with_scikit_image() -> None:
    color = pytest.importorskip("skimage.color")
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(lab(picture), color.rgb2lab(picture), atol=0.02)


def test_the_truth_is_right() -> None:
    right, moles, found = 0, 0, 0
    for i, who in enumerate(PEOPLE):
        portrait = render(who, conditions(i), 96)
        exact = measure(portrait.picture, portrait)
        assert exact.iris_error == 0.0
        assert exact.moles_found == exact.moles
        slightly = measure(_blurred(portrait.picture, 0.6), portrait)
        assert slightly.iris_error is not None
        assert slightly.iris_error < 25
        right += slightly.glasses_right
        moles += slightly.moles
        found += slightly.moles_found
    assert right >= 0.97 * len(PEOPLE)
    assert found >= 0.97 * moles
    assert moles > 20


def _without(who: SyntheticPerson) -> SyntheticPerson:
    return replace(who, glasses=None, moles=())


def test_what_is_missing_is_missed() -> None:
    for i, who in enumerate(PEOPLE[:12]):
        truth = render(who, conditions(i), 96)
        bare = measure(render(_without(who), conditions(i), 96).picture, truth)
        assert bare.moles_found == 0
        assert bare.glasses_right == (who.glasses is None)


def test_glasses_that_nobody_wears_are_wrong() -> None:
    worn = next(p.glasses for p in PEOPLE if p.glasses is not None and p.glasses.shape == "round")
    who = next(p for p in PEOPLE if p.glasses is None)
    truth = render(who, conditions(4), 96)
    assert measure(truth.picture, truth).glasses_right
    assert not measure(render(replace(who, glasses=worn), conditions(4), 96).picture, truth).glasses_right


def test_another_iris_is_another_color() -> None:
    who = PEOPLE[0]
    truth = render(who, conditions(1), 96)
    recolored = replace(who, eyes=replace(who.eyes, color=(1.0 - who.eyes.color[0], 0.9, 0.2)))
    error = measure(render(recolored, conditions(1), 96).picture, truth).iris_error
    assert error is not None
    assert error > 25


def test_a_severe_blur_leaves_little() -> None:
    results = []
    for i, who in enumerate(PEOPLE):
        portrait = render(who, conditions(i), 96)
        coarse = Image.fromarray(portrait.picture).resize((14, 14), Image.Resampling.BOX)
        results.append(measure(np.asarray(coarse.resize((96, 96), Image.Resampling.BICUBIC)), portrait))
    assert sum(r.moles_found for r in results) < 0.15 * sum(r.moles for r in results)
    assert np.mean([r.iris_error for r in results if r.iris_error is not None]) > 18


def test_another_size_is_refused() -> None:
    portrait = render(PEOPLE[0], conditions(0), 64)
    with pytest.raises(ImageFileError, match="of its size"):
        measure(portrait.picture[:32], portrait)
