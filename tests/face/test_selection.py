"""Selection of faces by size and position in the picture. An empty selection never means all faces."""

from __future__ import annotations

import tracemalloc

import pytest

from refldm_core.errors import SettingsError
from refldm_core.face.errors import FaceError
from refldm_core.face.selection import MOST_FACES, parse_indices, select_faces
from refldm_core.face.types import Face, Faces, Landmarks5
from tests.face.toys import transform_of

LOOKS = Landmarks5([[0, 0], [4, 0], [2, 2], [0, 4], [4, 4]])


def boxes(*rows, frames=1):
    """Make square faces from rows (x, y, size, score, frame), with centers (x, y). All crops have the same size."""
    faces = [Face((x - s / 2, y - s / 2, x + s / 2, y + s / 2), score, LOOKS, frame) for x, y, s, score, frame in rows]
    return Faces(tuple(faces), tuple(transform_of(50, 0, (100, 200)) for _ in rows), ((100, 200),) * frames)


GROUP = boxes((150, 20, 30, 0.7, 0), (20, 80, 40, 0.9, 0), (95, 55, 20, 0.8, 0))


def indices_of(faces, selected):
    return [faces.faces.index(face) for face in selected.faces]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("largest", [1, 0, 2]),
        ("middle", [2, 0, 1]),
        ("left to right", [1, 2, 0]),
        ("top to bottom", [0, 2, 1]),
        ("confidence", [1, 2, 0]),
    ],
)
def test_faces_are_selected_in_every_order(order, expected):
    assert indices_of(GROUP, select_faces(GROUP, order=order)) == expected
    assert indices_of(GROUP, select_faces(GROUP, order=order, count=1)) == expected[:1]
    assert indices_of(GROUP, select_faces(GROUP, order=order, indices=[2, 0])) == [expected[2], expected[0]]


def test_pictures_of_a_batch_are_independent():
    faces = boxes((50, 50, 10, 1, 0), (50, 50, 30, 1, 0), (50, 50, 5, 1, 2), (50, 50, 8, 1, 2), frames=3)
    assert indices_of(faces, select_faces(faces, count=1)) == [1, 3]


def test_small_and_uncertain_faces_have_no_position():
    assert indices_of(GROUP, select_faces(GROUP, order="left to right", min_size=25, indices=[1])) == [0]
    assert indices_of(GROUP, select_faces(GROUP, min_score=0.75)) == [1, 2]


@pytest.mark.parametrize("choice", [{"min_size": 99}, {"min_score": 1.0}, {"indices": []}, {"indices": [3]}])
def test_an_empty_selection_is_an_error_or_empty_and_never_all_faces(choice):
    with pytest.raises(FaceError):
        select_faces(GROUP, **choice)
    assert len(select_faces(GROUP, when_empty="pass", **choice)) == 0


def test_errors_distinguish_no_face_from_a_missing_position():
    with pytest.raises(FaceError, match="No face was found in 2 pictures"):
        select_faces(boxes(frames=2))
    with pytest.raises(FaceError, match="no face number 5: 3 were found"):
        select_faces(GROUP, indices=[0, 5])
    assert indices_of(GROUP, select_faces(GROUP, indices=[0, 5], when_empty="pass")) == [1]


def test_a_batch_without_faces_passes_if_chosen():
    assert select_faces(boxes(frames=2), when_empty="pass").image_sizes == ((100, 200),) * 2


def test_invalid_settings_are_refused():
    for bad in ({"count": 0}, {"indices": [-1]}, {"order": "prettiest"}):
        with pytest.raises(SettingsError):
            select_faces(GROUP, **bad)


@pytest.mark.parametrize(
    ("text", "expected"), [("0", [0]), ("0, 2-4", [0, 2, 3, 4]), ("3-1,2", [1, 2, 3]), (" ALL ", None)]
)
def test_typed_positions_are_parsed(text, expected):
    assert parse_indices(text) == expected


@pytest.mark.parametrize("text", ["0-99999999999", "30000000-0", "2-" + "9" * 900, ",".join(["0-9999999"] * 90)])
def test_huge_ranges_need_little_memory(text):
    tracemalloc.start()
    try:
        positions = parse_indices(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50e6
    assert sorted(positions)[-1] == MOST_FACES
    with pytest.raises(FaceError, match="no face number 3: 3 were found"):
        select_faces(GROUP, indices=positions)
    assert len(select_faces(GROUP, indices=positions, when_empty="pass")) == 3 - min(positions)


@pytest.mark.parametrize("text", ["9" * 5000, "0," * 5000])
def test_long_texts_are_refused_with_a_short_message(text):
    with pytest.raises(SettingsError, match=r"\.\.\. is not a list of faces") as caught:
        parse_indices(text)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["", "1;2", "-1", "x", "1,,2"])
def test_texts_of_another_form_are_refused(text):
    with pytest.raises(SettingsError, match="not a list of faces"):
        parse_indices(text)
