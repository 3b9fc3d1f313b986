"""Group photos and videos."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from refldm_core.errors import SettingsError
from refldm_core.synthetic.clip import Clip, clip
from refldm_core.synthetic.identity import person
from refldm_core.synthetic.layout import Layout, Place
from refldm_core.synthetic.scene import Scene, scene


@lru_cache(maxsize=2)
def group(layout: Layout) -> Scene:
    return scene([person(seed) for seed in range(4)], 2, 320, 200, layout=layout)


@lru_cache(maxsize=1)
def video() -> Clip:
    return clip(person(5), 1, 12, 64)


@pytest.mark.parametrize("layout", ["rows", "scattered"])
def test_faces_of_a_group_are_at_their_boxes_and_landmarks(layout: Layout) -> None:
    rendered = group(layout)
    assert rendered.picture.shape == (200, 320, 3)
    assert rendered.landmarks.shape == (4, 5, 2)
    low, high = rendered.boxes[:, None, :2], rendered.boxes[:, None, 2:]
    assert ((low < rendered.landmarks) & (rendered.landmarks < high)).all()
    assert (rendered.boxes[:, 3] - rendered.boxes[:, 1] > 15).all()
    x, y = np.rint(rendered.landmarks).astype(int).reshape(-1, 2).T
    numbers = np.repeat(np.arange(1, 5), 5)
    assert (rendered.faces[y, x] == numbers).mean() > 0.85


def test_equal_seeds_give_equal_groups() -> None:
    again = scene([person(seed) for seed in range(4)], 2, 320, 200)
    assert again.picture.tobytes() == group("rows").picture.tobytes()


def test_a_scene_without_people_shows_the_background() -> None:
    empty = scene([], 1, 40, 30)
    assert empty.landmarks.shape == (0, 5, 2)
    assert empty.boxes.shape == (0, 4)
    assert not empty.faces.any()
    assert empty.picture.std() > 1


def test_pictures_without_room_are_refused() -> None:
    with pytest.raises(SettingsError, match="no room"):
        scene([person(0)] * 30, 0, 64, 64)
    with pytest.raises(SettingsError, match="no room"):
        scene([person(0)] * 30, 0, 64, 64, layout="scattered")
    with pytest.raises(SettingsError, match="cannot be rendered"):
        scene([person(0)], 0, 100, 8)


BEHIND, IN_FRONT = Place(70, 60, 16), Place(125, 105, 20)


def with_and_without(seed: int, person_seed: int, place: Place) -> list[NDArray[np.float64]]:
    """Render one person, and the same picture without anybody."""
    scenes = [scene([person(person_seed)] * count, seed, 180, 180, layout=[place] * count) for count in (1, 0)]
    return [rendered.picture.astype(float) for rendered in scenes]


def test_people_stand_at_chosen_places() -> None:
    rendered = scene([person(1), person(2)], 3, 180, 180, layout=[BEHIND, IN_FRONT])
    for points, place in zip(rendered.landmarks, (BEHIND, IN_FRONT), strict=True):
        middle = points[:2].mean(axis=0)
        assert np.abs(middle - (place.x, place.y)).max() < 0.35 * place.scale
        assert np.linalg.norm(points[1] - points[0]) == pytest.approx(0.85 * place.scale, rel=0.25)
    with pytest.raises(SettingsError, match="2 people cannot stand at 1 places"):
        scene([person(1), person(2)], 3, 180, 180, layout=[BEHIND])


def test_gaps_between_arms_and_body_are_filled() -> None:
    rendered, empty = with_and_without(10, 800_080, Place(90, 40, 17))
    changed = (np.abs(rendered - empty).max(axis=-1) > 6)[40 + 6 * 17 : 40 + 8 * 17]
    for row in changed:
        (columns,) = np.nonzero(row)
        assert row[columns[0] : columns[-1]].mean() > 0.97


def test_tall_hair_is_not_cut() -> None:
    """Its top has no flat edge, which a window that is too low would cut."""
    rendered, empty = with_and_without(1103, 800_032, Place(90, 110, 26))
    changed = np.abs(rendered - empty).max(axis=-1) > 20
    rows = np.flatnonzero(changed.any(axis=1))
    assert changed[rows[0]].sum() < 10 < changed[rows[0] + 20].sum()


def test_people_throw_shadows_on_people_behind() -> None:
    without = scene([person(1)], 3, 180, 180, layout=[BEHIND]).picture.astype(float)
    rendered = scene([person(1), person(2)], 3, 180, 180, layout=[BEHIND, IN_FRONT]).picture.astype(float)
    beside, away = np.s_[124:142, 104:116], np.s_[124:142, 66:76]
    assert rendered[beside].mean() < 0.96 * without[beside].mean()
    assert rendered[away].mean() > 0.99 * without[away].mean()


def test_a_clip_moves_smoothly() -> None:
    """Per frame, no velocity of a landmark changes by more than 2% of the eye distance. The head does move."""
    rendered = video()
    assert rendered.frames.shape == (12, 64, 64, 3)
    eye_distance = np.linalg.norm(rendered.landmarks[0, 1] - rendered.landmarks[0, 0])
    acceleration = np.abs(np.diff(rendered.landmarks, n=2, axis=0)).max()
    assert acceleration < 0.02 * eye_distance
    assert np.ptp(rendered.landmarks[:, 2], axis=0).max() > 0.01 * eye_distance
    x, y = np.rint(rendered.landmarks[:, 2]).astype(int).T
    assert rendered.faces[np.arange(12), y, x].all()


def test_neighboring_frames_are_similar() -> None:
    frames = video().frames.astype(float)
    assert np.abs(np.diff(frames, axis=0)).mean() < 8.0
    assert (frames[0] != frames[1]).any()


def test_motion_does_not_depend_on_the_frame_rate() -> None:
    slow = clip(person(5), 1, 2, 64, rate=12.5)
    np.testing.assert_allclose(slow.landmarks[1], video().landmarks[2], atol=1e-9)


@pytest.mark.parametrize(("frames", "size", "rate"), [(0, 64, 25.0), (4, 16, 25.0), (4, 64, 0.0), (10**6, 64, 25.0)])
def test_impossible_clips_are_refused(frames: int, size: int, rate: float) -> None:
    with pytest.raises(SettingsError, match="cannot be rendered"):
        clip(person(0), 0, frames, size, rate=rate)
