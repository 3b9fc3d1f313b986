"""Matching of faces to people in group photos, and tracking in videos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refldm_core.errors import SettingsError
from refldm_core.face.errors import FaceError
from refldm_core.face.identity import centroid, cosine, normalize
from refldm_core.face.matching import (
    Match,
    assign,
    match_people,
    parse_assignments,
    people_of_assignments,
    stacked_embeddings,
    with_embeddings,
    with_people,
)
from refldm_core.face.tracking import face_seed, one_euro, people_of_tracks, smooth_landmarks, track_faces
from refldm_core.face.types import Face, Landmarks5
from tests.face.toys import people

LOOKS = np.array([[-25, -20], [25, -20], [0, 5], [-18, 30], [20, 28.0]])


def face(x=100.0, y=100.0, frame=0, embedding=None, noise=None, **attributes):
    points = LOOKS + np.array([x, y]) + (0.0 if noise is None else noise)
    return Face((x - 50, y - 50, x + 50, y + 50), 0.9, Landmarks5(points), frame, embedding, **attributes)


def test_twenty_faces_of_five_people_in_one_picture_are_all_matched():
    faces = people(5, 8, spread=1.0)  # photos of one person have a similarity of about 0.5
    centroids = {f"person {i}": centroid(faces[i, 4:]) for i in range(5)}
    shuffled = np.random.default_rng(1).permutation(20)
    matches = match_people(faces[:, :4].reshape(20, -1)[shuffled], [0] * 20, centroids, repeats=True)
    assert [m.person for m in matches] == [f"person {i // 4}" for i in shuffled]


def test_each_person_has_at_most_one_face_in_a_picture():
    faces = people(5, 4, spread=1.0)
    centroids = {f"person {i}": centroid(faces[i, 1:]) for i in range(5)}
    embeddings = np.concatenate([faces[:, 0], faces[:2, 1]])
    names = [m.person for m in match_people(embeddings, [0] * 7, centroids)]
    assert names.count(None) == 2
    assert sorted(name for name in names if name) == sorted(centroids)
    names_in_two_pictures = [m.person for m in match_people(embeddings, [0] * 5 + [1] * 2, centroids)]
    assert names_in_two_pictures == [*centroids, "person 0", "person 1"]


def test_the_assignment_maximizes_the_sum_and_not_each_similarity():
    similarities = np.array([[0.80, 0.70], [0.75, 0.10]])
    assert sorted(assign(similarities, 0.3)) == [(0, 1), (1, 0)]
    assert assign(np.array([[0.9], [0.8]]), 0.3) == [(0, 0)]
    # A pair below the threshold must not displace a pair above it.
    assert assign(np.array([[0.5, 0.29], [0.45, 0.1]]), 0.3) == [(0, 0)]
    assert assign(np.zeros((0, 3)), 0.3) == []


def test_strangers_stay_unmatched():
    centroids = {"somebody": centroid(people(1, 3, 0.5)[0])}
    (match,) = match_people(people(1, 1, 0.5, seed=9)[0], [0], centroids)
    assert match.person is None
    assert abs(match.similarity) < 0.3
    assert match_people(people(1, 1, 0.5)[0], [0], {}) == [Match(None, 0.0)]
    with pytest.raises(SettingsError):
        match_people(people(1, 1, 0.5)[0], [0], centroids, threshold=3)


def test_faces_carry_embeddings_and_names():
    rows = people(2, 1, 0.1)[:, 0]
    faces = with_people(with_embeddings([face(), face()], rows), [Match("a", 1.0), Match(None, 0.1)])
    assert [f.person for f in faces] == ["a", None]
    np.testing.assert_array_equal(stacked_embeddings(faces), rows)
    with pytest.raises(FaceError, match="1 of 2 faces have no embedding"):
        stacked_embeddings([faces[0], face()])


def test_centroids_and_normalized_rows_have_unit_length():
    np.testing.assert_allclose(normalize(np.array([[3.0, 4.0], [0, 0]])), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(np.linalg.norm(centroid(people(1, 9, 1.0)[0])), 1, rtol=1e-6)
    assert cosine(people(1, 1, 0.1)[0], people(1, 1, 0.1)[0])[0, 0] <= 1
    with pytest.raises(FaceError, match="no mean"):
        centroid(np.zeros((0, 8), dtype=np.float32))


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


def test_each_track_has_its_own_noise_seed():
    seeds = [face_seed(42, face(frame=t, track=3), position) for t, position in ((0, 0), (9, 5))]
    assert seeds[0] == seeds[1]
    assert face_seed(42, face(), 0) == face_seed(42, face(track=0), 7) == 42
    seeds_of_tracks = {face_seed(2**63 - 1, replace(face(), track=track), 0) for track in range(1000)}
    assert len(seeds_of_tracks) == 1000
    assert all(0 <= seed < 2**63 for seed in seeds_of_tracks)


def test_assignments_are_parsed():
    assert parse_assignments("") == parse_assignments(" , \n") == {}
    assert parse_assignments("2: Anna, 3: nobody\n0 :Jean Luc") == {2: "Anna", 3: "nobody", 0: "Jean Luc"}
    assert parse_assignments("1: Anna, 1: Anna") == {1: "Anna"}


@pytest.mark.parametrize("text", ["Anna", "2", "2: ", ": Anna", "-1: Anna", "2.5: Anna", "1234567: Anna", "2 Anna"])
def test_an_invalid_assignment_is_refused(text):
    with pytest.raises(SettingsError, match="does not say who a face is") as caught:
        parse_assignments(text)
    assert "2: Anna, 3: nobody" in caught.value.expected and caught.value.remedy


def test_assignments_are_checked_against_faces_and_people():
    people = ["Anna", "Ben"]
    assert people_of_assignments({0: "anna", 2: "Nobody"}, people, 3) == {0: "Anna", 2: None}
    with pytest.raises(SettingsError, match="no face number 3 to assign to Anna") as caught:
        people_of_assignments({3: "Anna"}, people, 3)
    assert caught.value.expected == "a number from 0 to 2"
    with pytest.raises(SettingsError, match='assigned to "Cem", who is not among the people') as caught:
        people_of_assignments({0: "Cem"}, people, 3)
    assert caught.value.expected == "Anna, Ben, nobody"
    with pytest.raises(SettingsError, match="assigned to Anna and to Ben"):
        parse_assignments("1: Anna, 1: Ben")


def test_an_assignment_overrides_the_match_and_reserves_its_person():
    faces = people(3, 2, spread=1.0)
    centroids = {name: faces[i, 1] for i, name in enumerate(("a", "b", "c"))}
    embeddings, frames = np.concatenate([faces[:, 0], faces[:, 0]]), [0, 0, 0, 1, 1, 1]

    def names(**options):
        return [match.person for match in match_people(embeddings, frames, centroids, threshold=0.1, **options)]

    assert names() == ["a", "b", "c"] * 2
    assert names(assigned={1: "a", 3: None}) == [None, "a", "c", None, "b", "c"], "reserved in the same picture only"
    assert names(assigned={1: "a"}, repeats=True) == ["a", "a", "c", "a", "b", "c"]
    assert names(assigned={0: "c", 1: "c", 2: "c"})[:3] == ["c"] * 3, "assignments may repeat a person"
    match = match_people(embeddings, frames, centroids, threshold=0.1, assigned={1: "a"})[1]
    assert match.similarity == pytest.approx(float(cosine(faces[1, :1], faces[0, 1:])[0, 0]))
