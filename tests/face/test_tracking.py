"""Tracking of faces in videos: tracks, smooth landmarks, people and noise seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refldm_core.errors import SettingsError
from refldm_core.face.tracking import (
    average_landmarks,
    face_seed,
    one_euro,
    one_face_of_each_track,
    people_of_tracks,
    smooth_landmarks,
    track_faces,
)
from refldm_core.face.types import Face, Landmarks5
from tests.face.toys import people

LOOKS = np.array([[-25, -20], [25, -20], [0, 5], [-18, 30], [20, 28.0]])


def face(x=100.0, y=100.0, frame=0, embedding=None, noise=None, **attributes):
    points = LOOKS + np.array([x, y]) + (0.0 if noise is None else noise)
    return Face((x - 50, y - 50, x + 50, y + 50), 0.9, Landmarks5(points), frame, embedding, **attributes)


def test_tracks_follow_people_who_move_cross_and_leave():
    embeddings = people(2, 30, 0.6)
    faces = []
    for t in range(30):
        faces.append(face(100 + 10 * t, 100, t, embeddings[0, t]))
        if not 10 <= t < 16:  # the second person is hidden for six frames
            faces.append(face(400 - 10 * t, 110, t, embeddings[1, t]))
    tracked = track_faces(faces)
    first = {f.track for f in tracked if f.landmarks.points[0, 1] == 80}
    second = {f.track for f in tracked if f.landmarks.points[0, 1] == 90}
    assert first == {0}
    assert second == {1}


def test_tracks_without_embeddings_follow_boxes_and_end_after_a_gap():
    tracked = track_faces([face(100 + 5 * t, 100, t) for t in (*range(5), *range(40, 45))], max_gap=15)
    assert [f.track for f in tracked] == [0] * 5 + [1] * 5


def test_a_stranger_at_the_same_place_starts_a_new_track():
    embeddings = people(2, 1, 0.1)
    tracked = track_faces([face(frame=t, embedding=embeddings[t // 5, 0]) for t in range(10)])
    assert [f.track for f in tracked] == [0] * 5 + [1] * 5


def test_smoothing_steadies_a_still_face_and_follows_a_moving_face():
    generator = np.random.default_rng(0)
    still = [face(frame=t, noise=generator.normal(size=(5, 2)), track=0) for t in range(80)]
    smoothed_still = smooth_landmarks(still, 0.7)
    deviation = np.std([f.landmarks.points for f in still[20:]], axis=0).mean()
    smoothed_deviation = np.std([f.landmarks.points for f in smoothed_still[20:]], axis=0).mean()
    assert smoothed_deviation < 0.5 * deviation
    moving = [face(100 + 12 * t, 100, t, track=0) for t in range(40)]
    smoothed = smooth_landmarks(moving, 0.7)
    lag = [np.abs(a.landmarks.points - b.landmarks.points).max() for a, b in zip(moving, smoothed, strict=True)]
    assert max(lag[5:]) < 12  # pixels: the movement of one frame
    assert all(a.box == b.box for a, b in zip(moving, smoothed, strict=True))


def test_averaging_steadies_a_moving_face_and_keeps_even_movement():
    even = [face(100 + 3 * t, 100 - t, t, track=0) for t in range(30)]
    for before, after in zip(even, average_landmarks(even, 2.0), strict=True):
        assert np.allclose(before.landmarks.points, after.landmarks.points, atol=1e-9)
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(30, 5, 2)) * 3.0
    trembling = [face(100 + 3 * t, 100 - t, t, noise=noise[t], track=0) for t in range(30)]
    errors = np.stack(
        [a.landmarks.points - b.landmarks.points for a, b in zip(average_landmarks(trembling, 2.0), even, strict=True)]
    )
    # A Gaussian of deviation 2 averages about seven frames. The jitter, the change of the error, falls even more.
    assert errors[3:-3].std() < 0.5 * noise.std()
    assert np.diff(errors, axis=0)[3:-3].std() < 0.2 * np.diff(noise, axis=0).std()


def test_averaging_does_not_cross_tracks_gaps_and_jumps():
    faces = [face(100, 100, t, track=0) for t in range(4)]
    faces += [face(200, 100, t, track=0) for t in range(4, 8)] + [face(150, 100, t, track=1) for t in range(8)]
    faces += [face(130, 100, 300, track=0), face(140, 100, 5)]
    for before, after in zip(faces, average_landmarks(faces, 2.0), strict=True):
        assert np.allclose(before.landmarks.points, after.landmarks.points, atol=1e-9)
    assert average_landmarks(faces, 0.0) == faces
    with pytest.raises(SettingsError):
        average_landmarks(faces, -1.0)


def test_strength_zero_and_stills_change_no_landmark():
    faces = [face(frame=t, track=0, noise=t) for t in range(5)]
    assert smooth_landmarks(faces, 0.0) == faces
    stills = [face(noise=3.0), face(noise=7.0)]
    assert smooth_landmarks(stills, 1.0) == stills
    with pytest.raises(SettingsError):
        smooth_landmarks(faces, 1.5)


def test_one_euro_moves_all_points_together():
    rigid = [LOOKS + t * np.array([1.0, 0.5]) for t in range(20)]
    for value in one_euro(rigid, range(20), 0.5):
        np.testing.assert_allclose(value - value[0], LOOKS - LOOKS[0], atol=1e-9)


def test_a_track_gets_the_person_of_most_of_its_faces():
    faces = [face(frame=t, track=0, person=name) for t, name in enumerate(["a", None, "b", "a", None])]
    faces += [face(track=1), face(person="c")]
    assert [f.person for f in people_of_tracks(faces)] == ["a"] * 5 + [None, "c"]


def test_the_largest_face_stands_for_its_track():
    small, large = (10, 10, 40, 40), (10, 10, 60, 60)
    boxes_and_tracks = [(small, 1), (small, 0), (small, None), (large, 0), (large, 1), (small, 0), (large, None)]
    faces = [replace(face(frame=i, track=track), box=box) for i, (box, track) in enumerate(boxes_and_tracks)]
    assert one_face_of_each_track(faces) == [2, 3, 4, 6]
    assert one_face_of_each_track([]) == []


def test_each_track_has_its_own_noise_seed():
    seeds = [face_seed(42, face(frame=t, track=3), position) for t, position in ((0, 0), (9, 5))]
    assert seeds[0] == seeds[1]
    assert face_seed(42, face(), 0) == face_seed(42, face(track=0), 7) == 42
    seeds_of_tracks = {face_seed(2**63 - 1, replace(face(), track=track), 0) for track in range(1000)}
    assert len(seeds_of_tracks) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds_of_tracks)
