"""Drawn people: the same everywhere, at every size, aligned as real crops are, and told apart by their details."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from refldm_core.data.attributes import lab
from refldm_core.data.synthetic import PARTS, Portrait, conditions, group, person, render
from refldm_core.errors import ReFLDMError, SettingsError
from refldm_core.face.alignment import similarity, template

SEEDS = range(6)


def _resized(picture: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX), dtype=np.float64)


def test_the_same_seeds_give_the_same_picture() -> None:
    first, again = (render(person(3), conditions(5), 64) for _ in range(2))
    assert hashlib.sha256(first.picture.tobytes()).digest() == hashlib.sha256(again.picture.tobytes()).digest()
    assert person(3) == person(3) != person(4)
    assert conditions(5) == conditions(5) != conditions(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_small_portrait_is_the_large_one_resized(seed: int) -> None:
    small = render(person(seed), conditions(seed), 96)
    large = render(person(seed), conditions(seed), 384)
    difference = np.abs(small.picture - _resized(large.picture, 96))
    assert difference.mean() < 2.5
    assert np.percentile(difference, 99) < 35
    np.testing.assert_allclose((large.landmarks + 0.5) / 4 - 0.5, small.landmarks, atol=1e-9)
    assert abs(len(large.attributes.moles) - len(small.attributes.moles)) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_portraits_are_aligned(seed: int) -> None:
    """Aligning an aligned portrait again leaves it as it is."""
    landmarks = render(person(seed), conditions(seed), 64).landmarks
    np.testing.assert_allclose(similarity(landmarks, template(64)), [[1, 0, 0], [0, 1, 0]], atol=1e-9)
    assert np.abs(landmarks - template(64)).max() < 8


def test_landmarks_lie_on_what_they_name() -> None:
    for seed in range(12):
        portrait = render(person(seed), conditions(seed), 96)
        x, y = np.rint(portrait.landmarks).astype(int).T
        parts = [PARTS[i] for i in portrait.parsing[y[:3], x[:3]]]
        assert parts[:2] == ["eye", "eye"]
        assert parts[2] == "nose"


def test_a_given_transform_places_the_face() -> None:
    aligned = render(person(1), conditions(1), 64)
    moved = render(person(1), conditions(1), 64, image_from_face=np.array([[9.0, 0.0, 20.0], [0.0, 9.0, 30.0]]))
    matrix = similarity(aligned.landmarks, moved.landmarks)
    assert np.hypot(*matrix[:, 0]) == pytest.approx(9 / 16, abs=0.12)
    np.testing.assert_allclose(matrix[:, :2] @ aligned.landmarks.T + matrix[:, 2:], moved.landmarks.T, atol=1e-9)


def test_the_parsing_names_what_is_there() -> None:
    for seed in range(8):
        who = person(seed)
        portrait = render(who, conditions(seed), 96)
        seen = {PARTS[i] for i in np.unique(portrait.parsing)}
        assert {"background", "skin", "brow", "eye", "nose", "lips", "neck"} <= seen
        assert ("glasses" in seen) == (who.glasses is not None)
        assert ("hair" in seen) == (who.hair is not None)


def _iris(portrait: Portrait) -> NDArray[np.float64]:
    irises = portrait.attributes.left_iris | portrait.attributes.right_iris
    assert irises.sum() >= 6
    return lab(portrait.picture)[irises].mean(axis=0)


def test_people_differ_more_than_conditions_do() -> None:
    irises = np.array([[_iris(render(person(i), conditions(10 * i + j), 96)) for j in range(2)] for i in range(12)])
    own = np.linalg.norm(irises[:, 0] - irises[:, 1], axis=-1)
    others = np.linalg.norm(irises[:, None, 0] - irises[None, :, 1], axis=-1)[~np.eye(12, dtype=bool)]
    assert own.mean() < 15
    assert np.median(others) > 3 * own.mean()


def test_details_vanish_in_a_severe_degradation() -> None:
    """What tells people apart is gone at 14 pixels: an iris is then no darker or bluer than its surroundings."""
    kept: list[float] = []
    for seed in range(8):
        portrait = render(person(seed), conditions(seed), 96)
        coarse = Image.fromarray(portrait.picture).resize((14, 14), Image.Resampling.BOX)
        blurred = np.asarray(coarse.resize((96, 96), Image.Resampling.BICUBIC))
        irises = portrait.attributes.left_iris | portrait.attributes.right_iris
        kept.append(float(np.linalg.norm(lab(portrait.picture)[irises].mean(0) - lab(blurred)[irises].mean(0))))
    assert np.mean(kept) > 20


def test_traits_are_varied_and_independent() -> None:
    people = [person(i) for i in range(300)]
    glasses = np.array([p.glasses is not None for p in people])
    moles = np.array([len(p.moles) for p in people])
    skin = np.array([p.skin[1] for p in people])
    blue = np.array([p.eyes.color[2] for p in people])
    assert 0.25 < glasses.mean() < 0.45
    assert {0, 1, 2, 3, 4} == set(moles)
    for a, b in ((glasses, skin), (blue, skin), (glasses, blue)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


@pytest.mark.parametrize("layout", ["rows", "scattered"])
def test_a_group(layout: str) -> None:
    people = [person(i) for i in range(5)]
    scene = group(people, 2, 320, 200, layout=layout)  # type: ignore[arg-type]
    assert scene.picture.shape == (200, 320, 3)
    assert scene.landmarks.shape == (5, 5, 2)
    low, high = scene.boxes[:, None, :2], scene.boxes[:, None, 2:]
    assert ((low < scene.landmarks) & (scene.landmarks < high)).all()
    assert (scene.boxes[:, 3] - scene.boxes[:, 1] > 15).all()
    x, y = np.rint(scene.landmarks[:, :2]).astype(int).transpose(2, 0, 1)
    assert (scene.parsing[y, x] == PARTS.index("eye")).mean() > 0.8
    assert (group(people, 2, 320, 200, layout=layout).picture == scene.picture).all()  # type: ignore[arg-type]


def test_a_picture_of_nobody() -> None:
    scene = group([], 1, 40, 30)
    assert scene.landmarks.shape == (0, 5, 2)
    assert scene.boxes.shape == (0, 4)
    assert (scene.parsing == PARTS.index("background")).all()


@pytest.mark.parametrize("size", [15, 0, -3])
def test_too_small(size: int) -> None:
    with pytest.raises(ReFLDMError, match="at least 16"):
        render(person(0), conditions(0), size)
    with pytest.raises(ReFLDMError, match="at least 16"):
        group([], 0, 100, size)


def test_bad_seeds_and_crowds() -> None:
    with pytest.raises(SettingsError, match="negative"):
        person(-1)
    with pytest.raises(SettingsError, match="negative"):
        conditions(-1)
    with pytest.raises(SettingsError, match="no room"):
        group([person(0)] * 30, 0, 64, 64)
    with pytest.raises(SettingsError, match="no room"):
        group([person(0)] * 30, 0, 64, 64, layout="scattered")
