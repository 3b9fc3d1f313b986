"""Group photos and videos."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from refldm_core.errors import SettingsError
from refldm_core.synthetic.clip import Clip, clip
from refldm_core.synthetic.identity import person
from refldm_core.synthetic.layout import Layout
from refldm_core.synthetic.scene import Scene, scene


@lru_cache(maxsize=2)
def group(layout: Layout) -> Scene:
    return scene([person(seed) for seed in range(4)], 2, 320, 200, layout=layout)


@lru_cache(maxsize=1)
def video() -> Clip:
    return clip(person(5), 1, 12, 64)


@pytest.mark.parametrize("layout", ["rows", "scattered"])
def test_a_group(layout: Layout) -> None:
    shown = group(layout)
    assert shown.picture.shape == (200, 320, 3)
    assert shown.landmarks.shape == (4, 5, 2)
    low, high = shown.boxes[:, None, :2], shown.boxes[:, None, 2:]
    assert ((low < shown.landmarks) & (shown.landmarks < high)).all()
    assert (shown.boxes[:, 3] - shown.boxes[:, 1] > 15).all()
    x, y = np.rint(shown.landmarks).astype(int).reshape(-1, 2).T
    numbers = np.repeat(np.arange(1, 5), 5)
    assert (shown.faces[y, x] == numbers).mean() > 0.85


def test_a_group_is_the_same_again() -> None:
    again = scene([person(seed) for seed in range(4)], 2, 320, 200)
    assert again.picture.tobytes() == group("rows").picture.tobytes()


def test_a_picture_of_nobody() -> None:
    empty = scene([], 1, 40, 30)
    assert empty.landmarks.shape == (0, 5, 2)
    assert empty.boxes.shape == (0, 4)
    assert not empty.faces.any()
    assert empty.picture.std() > 1


def test_no_room_is_said() -> None:
    with pytest.raises(SettingsError, match="no room"):
        scene([person(0)] * 30, 0, 64, 64)
    with pytest.raises(SettingsError, match="no room"):
        scene([person(0)] * 30, 0, 64, 64, layout="scattered")
    with pytest.raises(SettingsError, match="cannot be rendered"):
        scene([person(0)], 0, 100, 8)


def test_a_clip_moves_smoothly() -> None:
    """No landmark changes its velocity by more than a fifth of an eye distance a frame, and the head does move."""
    shown = video()
    assert shown.frames.shape == (12, 64, 64, 3)
    eye_distance = np.linalg.norm(shown.landmarks[0, 1] - shown.landmarks[0, 0])
    acceleration = np.abs(np.diff(shown.landmarks, n=2, axis=0)).max()
    assert acceleration < 0.02 * eye_distance
    assert np.ptp(shown.landmarks[:, 2], axis=0).max() > 0.01 * eye_distance
    x, y = np.rint(shown.landmarks[:, 2]).astype(int).T
    assert shown.faces[np.arange(12), y, x].all()


def test_neighboring_frames_are_alike() -> None:
    frames = video().frames.astype(float)
    assert np.abs(np.diff(frames, axis=0)).mean() < 8.0
    assert (frames[0] != frames[1]).any()


def test_the_motion_does_not_depend_on_the_rate() -> None:
    slow = clip(person(5), 1, 2, 64, rate=12.5)
    np.testing.assert_allclose(slow.landmarks[1], video().landmarks[2], atol=1e-9)


@pytest.mark.parametrize(("frames", "size", "rate"), [(0, 64, 25.0), (4, 16, 25.0), (4, 64, 0.0), (10**6, 64, 25.0)])
def test_clips_that_cannot_be_are_refused(frames: int, size: int, rate: float) -> None:
    with pytest.raises(SettingsError, match="cannot be rendered"):
        clip(person(0), 0, frames, size, rate=rate)
