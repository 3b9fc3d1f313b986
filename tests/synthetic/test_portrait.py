"""Portraits: reproducible, aligned as crops of photos are, and consistent with their attributes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image

from refldm_core.data.attributes import lab, mole_contrast
from refldm_core.errors import SettingsError
from refldm_core.face.alignment import similarity, template
from refldm_core.synthetic.arrays import linear
from refldm_core.synthetic.conditions import Conditions, Expression, Pose, conditions
from refldm_core.synthetic.identity import person
from refldm_core.synthetic.portrait import Portrait, portrait

SIZE = 96
SEEDS = range(8)


def frontal(seed: int) -> Conditions:
    """Conditions of a straight, calm face that looks into the camera."""
    return replace(conditions(seed), pose=Pose(0.0, 0.0, 0.0), expression=Expression(raise_brows=0.2))


@lru_cache(maxsize=32)
def frontal_portrait(seed: int, size: int = SIZE) -> Portrait:
    return portrait(person(seed), frontal(seed), size)


@lru_cache(maxsize=32)
def portrait_of_seed(seed: int, size: int = SIZE) -> Portrait:
    return portrait(person(seed), conditions(seed), size)


def test_equal_seeds_give_equal_bytes() -> None:
    again = portrait(person(3), conditions(3), SIZE)
    assert again.picture.tobytes() == portrait_of_seed(3).picture.tobytes()
    np.testing.assert_array_equal(again.landmarks, portrait_of_seed(3).landmarks)
    assert person(3) == person(3) != person(4)
    assert conditions(5) == conditions(5) != conditions(6)


def test_rounding_stays_within_the_documented_tolerance() -> None:
    """Math libraries round differently. A change of the last bit stays within `portrait`'s tolerance."""
    turned = replace(
        conditions(3), pose=replace(conditions(3).pose, yaw=float(np.nextafter(conditions(3).pose.yaw, 90)))
    )
    difference = np.abs(portrait(person(3), turned, SIZE).picture.astype(float) - portrait_of_seed(3).picture)
    assert difference.mean() < 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_portraits_are_aligned(seed: int) -> None:
    landmarks = portrait_of_seed(seed).landmarks
    np.testing.assert_allclose(similarity(landmarks, template(SIZE)), [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    assert np.abs(landmarks - template(SIZE)).max() < 0.16 * SIZE


def test_a_small_portrait_is_the_large_one_resized() -> None:
    small, large = portrait_of_seed(2), portrait_of_seed(2, 2 * SIZE)
    resized = np.asarray(Image.fromarray(large.picture).resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.float64)
    difference = np.abs(resized - small.picture)
    assert difference.mean() < 6.0
    np.testing.assert_allclose((large.landmarks + 0.5) / 2 - 0.5, small.landmarks, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_eye_landmarks_are_the_middles_of_the_irises(seed: int) -> None:
    rendered = frontal_portrait(seed, 160)
    eye_distance = np.linalg.norm(rendered.landmarks[1] - rendered.landmarks[0])
    for iris, landmark in (
        (rendered.attributes.left_iris, rendered.landmarks[0]),
        (rendered.attributes.right_iris, rendered.landmarks[1]),
    ):
        if iris.sum() < 8:  # behind the rim of glasses or a narrow lid
            continue
        y, x = np.nonzero(iris)
        assert abs(x.mean() - landmark[0]) < 0.07 * eye_distance
        assert abs(y.mean() - landmark[1]) < 0.10 * eye_distance
    assert rendered.attributes.left_iris.any() or rendered.attributes.right_iris.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_face_mask_covers_the_face_only(seed: int) -> None:
    rendered = frontal_portrait(seed)
    x, y = np.rint(rendered.landmarks).astype(int).T
    assert rendered.face[y, x].all()
    assert 0.15 < rendered.face.mean() < 0.65
    chin_and_forehead = rendered.face[:, SIZE // 2].nonzero()[0]
    assert chin_and_forehead[0] < 0.42 * SIZE < 0.78 * SIZE < chin_and_forehead[-1]
    corners = rendered.face[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()


def test_mouth_corners_are_at_the_ends_of_the_lips() -> None:
    """A corner of the mouth is redder than the cheek beside it."""
    redder = 0
    for seed in SEEDS:
        rendered = frontal_portrait(seed)
        picture = rendered.picture.astype(float)
        center = rendered.landmarks[3:].mean(0)
        for corner in rendered.landmarks[3:]:
            inside, outside = corner + 0.25 * (center - corner), corner + 0.45 * (corner - center)
            a, b = (picture[round(p[1]), round(p[0])] for p in (inside, outside))
            redder += a[0] / a.sum() > b[0] / b.sum() or a.sum() < b.sum()
    assert redder >= 14  # of 16


def test_attributes_do_not_depend_on_the_conditions() -> None:
    somebody = person(11)
    first, second = (portrait(somebody, conditions(seed), SIZE) for seed in (21, 22))
    assert np.abs(first.picture.astype(float) - second.picture).mean() > 10
    assert first.attributes.iris_color == second.attributes.iris_color
    assert first.attributes.hair_color == second.attributes.hair_color
    assert (first.attributes.glasses, first.attributes.beard) == (second.attributes.glasses, second.attributes.beard)


def test_moles_keep_their_positions() -> None:
    """Under another expression and light, a mole keeps its position relative to the landmarks."""
    compared = 0
    for seed in (2, 5, 7):
        calm = frontal_portrait(seed)
        smiling = portrait(person(seed), replace(frontal(seed + 50), expression=Expression(smile=0.4)), SIZE)
        if len(calm.attributes.moles) == len(smiling.attributes.moles):
            compared += len(calm.attributes.moles)
            moved = np.abs(calm.attributes.moles[:, :2] - smiling.attributes.moles[:, :2])
            assert (moved < 0.05 * SIZE).all()
    assert compared >= 3


def test_moles_are_visible_at_their_listed_positions() -> None:
    contrasts: list[float] = []
    for seed in SEEDS:
        rendered = frontal_portrait(seed, 160)
        contrasts += [mole_contrast(lab(rendered.picture), mole) for mole in rendered.attributes.moles]
    assert len(contrasts) >= 5
    assert np.mean(np.array(contrasts) > 4.0) > 0.8


def test_hidden_moles_are_not_listed() -> None:
    """A face turned far to one side hides the moles of that side."""
    for seed in range(40):
        moles = person(seed).skin.moles
        if any(mole.x > 0.3 for mole in moles):
            turned = replace(frontal(seed), pose=Pose(55.0, 0.0, 0.0))
            away = portrait(person(seed), turned, SIZE)
            assert len(away.attributes.moles) < len(moles)
            return
    pytest.fail("nobody has a mole at the side")


def test_visible_irises_have_the_listed_color() -> None:
    stated, measured = [], []
    for seed in range(12):
        rendered = frontal_portrait(seed, 160)
        iris = rendered.attributes.left_iris | rendered.attributes.right_iris
        if iris.sum() >= 6:
            stated.append(linear(rendered.attributes.iris_color))
            measured.append(linear(rendered.picture[iris].mean(0) / 255.0))
    blue = [[c[2] / c.sum() for c in colors] for colors in (stated, measured)]
    assert len(stated) >= 8
    assert np.corrcoef(blue[0], blue[1])[0, 1] > 0.8


def test_glasses_are_visible_only_if_worn() -> None:
    wearers = [seed for seed in range(20) if person(seed).glasses is not None][:2]
    for seed in wearers:
        rendered = frontal_portrait(seed)
        assert rendered.attributes.glasses
        assert rendered.attributes.frame.sum() > 30
    without = next(seed for seed in range(20) if person(seed).glasses is None)
    assert not frontal_portrait(without).attributes.glasses
    assert not frontal_portrait(without).attributes.frame.any()


@pytest.mark.parametrize("size", [0, 31, -5])
def test_too_small_portraits_are_refused(size: int) -> None:
    with pytest.raises(SettingsError, match="too small"):
        portrait(person(0), conditions(0), size)


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(SettingsError, match="negative"):
        person(-1)
    with pytest.raises(SettingsError, match="negative"):
        conditions(-1)
