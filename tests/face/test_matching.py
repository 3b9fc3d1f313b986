"""Matching of faces to people."""

from __future__ import annotations

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
from refldm_core.face.types import Face, Landmarks5
from tests.face.toys import people

FACE = Face((0, 0, 9, 9), 0.9, Landmarks5([[0, 0], [4, 0], [2, 2], [0, 4], [4, 4]]))


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
    faces = with_people(with_embeddings([FACE, FACE], rows), [Match("a", 1.0), Match(None, 0.1)])
    assert [f.person for f in faces] == ["a", None]
    np.testing.assert_array_equal(stacked_embeddings(faces), rows)
    with pytest.raises(FaceError, match="1 of 2 faces have no embedding"):
        stacked_embeddings([faces[0], FACE])


def test_centroids_and_normalized_rows_have_unit_length():
    np.testing.assert_allclose(normalize(np.array([[3.0, 4.0], [0, 0]])), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(np.linalg.norm(centroid(people(1, 9, 1.0)[0])), 1, rtol=1e-6)
    assert cosine(people(1, 1, 0.1)[0], people(1, 1, 0.1)[0])[0, 0] <= 1
    with pytest.raises(FaceError, match="no mean"):
        centroid(np.zeros((0, 8), dtype=np.float32))


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
