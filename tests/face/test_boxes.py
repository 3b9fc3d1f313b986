"""Boxes of ComfyUI's own detection nodes: read, written, and turned into faces."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refldm_core.errors import SettingsError
from refldm_core.face.alignment import FFHQ_TEMPLATE, crop_transform, face_from_landmarks
from refldm_core.face.boxes import (
    BoundingBox,
    added_boxes,
    face_from_box,
    faces_from_boxes,
    host_boxes,
    parse_added_boxes,
    parse_boxes,
    with_added_faces,
)
from refldm_core.face.errors import FaceError
from refldm_core.face.types import Face, Faces, Landmarks5

SIZE = (192, 256)
PLAIN = {"x": 10, "y": 20, "width": 30, "height": 40}
LABELED = {"x": 100.5, "y": 60.25, "width": 50.0, "height": 60.0, "label": "face", "score": 0.75}


def bounds(boxes: list[BoundingBox]) -> list[tuple[int, float]]:
    return [(box.frame, box.box[0]) for box in boxes]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([[PLAIN, LABELED], [], [LABELED]], [(0, 9.5), (0, 100.0), (2, 100.0)]),  # RT-DETR, SAM3, SDPose, MediaPipe
        ([[PLAIN]], [(0, 9.5), (1, 9.5), (2, 9.5)]),  # Create Bounding Boxes: one canvas for all pictures
        ([], []),  # Create Bounding Boxes with an empty canvas
        ([[], [], []], []),
        ([PLAIN, LABELED], [(0, 9.5), (0, 100.0), (1, 9.5), (1, 100.0), (2, 9.5), (2, 100.0)]),
        (PLAIN, [(0, 9.5), (1, 9.5), (2, 9.5)]),  # Bounding Box
    ],
)
def test_every_layout_of_the_host_is_read(value, expected):
    assert bounds(parse_boxes(value, [SIZE] * 3)) == expected


def test_a_box_keeps_its_place_score_and_label():
    plain, labeled = parse_boxes([PLAIN, LABELED], [SIZE])
    # The host's x is the edge of a pixel, ours is 0 in the middle of the first pixel.
    assert plain == BoundingBox((9.5, 19.5, 39.5, 59.5))
    assert labeled == BoundingBox((100.0, 59.75, 150.0, 119.75), 0, 0.75, "face")


def test_boxes_of_another_number_of_pictures_are_refused():
    with pytest.raises(SettingsError, match="boxes of 3 pictures for 2 pictures"):
        parse_boxes([[PLAIN], [], [PLAIN]], [SIZE] * 2)


@pytest.mark.parametrize(
    "box",
    [
        {"x": 1, "y": 2, "width": 3},
        {**PLAIN, "width": 0},
        {**PLAIN, "height": -4},
        {**PLAIN, "x": math.nan},
        {**PLAIN, "width": math.inf},
        {**PLAIN, "x": "left"},
        {**PLAIN, "score": "high"},
        [10, 20, 30, 40],
        7,
    ],
)
def test_what_is_no_box_is_named(box):
    with pytest.raises(FaceError, match="picture 2 has no place or no area"):
        parse_boxes([[], [PLAIN, box]], [SIZE] * 2)


def test_what_holds_no_boxes_is_named():
    with pytest.raises(FaceError, match="A str holds no boxes"):
        parse_boxes("10 20 30 40", [SIZE])


def test_a_box_outside_its_picture_is_refused_but_one_across_its_border_is_not():
    parse_boxes({**PLAIN, "x": -10, "y": 170}, [SIZE])
    for place in ({"x": 512}, {"y": 512}, {"x": -40}, {"y": -50}):
        with pytest.raises(FaceError, match="outside that picture of 256x192 pixels"):
            parse_boxes({**PLAIN, **place}, [SIZE])


def test_an_upright_average_face_comes_back_from_its_box():
    landmarks = Landmarks5(0.3 * FFHQ_TEMPLATE + [40.0, -7.0])
    face = face_from_landmarks(landmarks, 2)
    back = face_from_box(face.box, frame=2)
    np.testing.assert_allclose(back.landmarks.points, landmarks.points, atol=1e-9)
    assert back.box == face.box
    assert (back.frame, back.score) == (2, 1.0)


@pytest.mark.parametrize("box", [(10.0, 20.0, 410.0, 310.0), (-20.0, -30.0, 192.0, 700.0)])
def test_the_average_face_is_as_large_as_fits_and_in_the_middle(box):
    """A square of SDPose, a box that reaches over the neck: the face does not grow with the longer side."""
    face = face_from_box(box)
    across = face.landmarks.points[1] - face.landmarks.points[0]
    np.testing.assert_allclose(across, FFHQ_TEMPLATE[1] - FFHQ_TEMPLATE[0], atol=1e-9)
    inner = face_from_landmarks(face.landmarks)
    np.testing.assert_allclose(inner.center, face.center, atol=1e-9)
    assert face.box == box


def detected(left: float, top: float, width: float, height: float, *, frame: int = 0, score: float = 0.9) -> Face:
    """A face with landmarks that are not the average ones."""
    face = face_from_box((left, top, left + width, top + height), score=score, frame=frame)
    return replace(face, landmarks=Landmarks5(face.landmarks.points + np.array([1.0, 2.0])))


def test_a_detected_face_gives_its_landmarks_to_the_box_around_it():
    inside, beside = detected(12, 22, 28, 36), detected(150, 22, 28, 36)
    (face,) = faces_from_boxes(parse_boxes({**PLAIN, "score": 0.5}, [SIZE]), [beside, inside])
    assert face.landmarks is inside.landmarks
    assert face.box == (9.5, 19.5, 39.5, 59.5), "the box is the user's"
    assert face.score == 0.5
    (face,) = faces_from_boxes(parse_boxes(PLAIN, [SIZE]), [inside])
    assert face.score == 0.9, "a box without a score takes the detector's"


@pytest.mark.parametrize(
    "elsewhere",
    [
        [],
        [detected(150, 22, 28, 36)],  # beside it
        [detected(12, 22, 28, 36, frame=1)],  # in another picture
        [detected(14, 26, 5, 6)],  # an eye taken for a face
        [detected(32, 22, 28, 36)],  # a neighbor whose middle is outside
    ],
)
def test_a_box_of_a_face_without_a_detected_one_holds_an_average_face(elsewhere):
    (face,) = faces_from_boxes(parse_boxes([[PLAIN], []], [SIZE] * 2), elsewhere)
    expected = face_from_box((9.5, 19.5, 39.5, 59.5))
    np.testing.assert_array_equal(face.landmarks.points, expected.landmarks.points)


def test_a_box_of_a_person_says_only_where_to_look():
    person = {"x": 0, "y": 0, "width": 100, "height": 190, "label": "person", "score": 0.99}
    chair = {"x": 110, "y": 100, "width": 80, "height": 90, "label": "chair", "score": 0.5}
    head, stranger = detected(30, 10, 24, 30), detected(200, 10, 24, 30)
    (face,) = faces_from_boxes(parse_boxes([[person, chair]], [SIZE]), [stranger, head])
    assert face is head, "with its own box, landmarks and score; no face on the chair"
    assert faces_from_boxes(parse_boxes([[chair]], [SIZE]), [head]) == []
    with pytest.raises(FaceError, match='labeled "person"'):
        faces_from_boxes(parse_boxes([[LABELED, person]], [SIZE]))


def test_two_boxes_never_share_a_face():
    boxes = parse_boxes(
        [{"x": 0, "y": 0, "width": 100, "height": 190, "label": "person"}, {**PLAIN, "label": "Face 1"}], [SIZE]
    )
    left, right = detected(12, 22, 28, 36), detected(60, 22, 28, 36)
    of_person, of_face = faces_from_boxes(boxes, [left, right])
    assert of_person is right
    assert of_face.landmarks is left.landmarks
    (alone,) = faces_from_boxes(boxes, [left])
    assert alone.landmarks is left.landmarks


def test_faces_become_boxes_of_every_picture_and_come_back():
    faces = [detected(12, 22, 28, 36, frame=2, score=0.5), detected(12.5, 30, 20, 24), detected(90, 9, 11, 13, frame=2)]
    transforms = tuple(crop_transform(face.landmarks, SIZE) for face in faces)
    boxes = host_boxes(Faces(tuple(faces), transforms, (SIZE,) * 3))
    assert boxes == [
        [{"x": 13.0, "y": 30.5, "width": 20.0, "height": 24.0, "label": "face", "score": 0.9}],
        [],
        [
            {"x": 12.5, "y": 22.5, "width": 28.0, "height": 36.0, "label": "face", "score": 0.5},
            {"x": 90.5, "y": 9.5, "width": 11.0, "height": 13.0, "label": "face", "score": 0.9},
        ],
    ]
    back = faces_from_boxes(parse_boxes(boxes, [SIZE] * 3), faces)
    assert [(face.box, face.score, face.frame) for face in back] == [
        (faces[i].box, faces[i].score, faces[i].frame) for i in (1, 0, 2)
    ]


def test_no_face_package_is_needed():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('insightface', 'facexlib', 'onnxruntime', 'cv2', 'scipy')))\n"
        "import torch\n"
        "from refldm_core.face.alignment import align_faces\n"
        "from refldm_core.face.boxes import faces_from_boxes, parse_boxes\n"
        "from refldm_core.face.paste import PasteSettings, paste_faces\n"
        "image = torch.zeros(3, 192, 256)\n"
        "box = {'x': 60, 'y': 40, 'width': 80, 'height': 100}\n"
        "faces, crops = align_faces([image], faces_from_boxes(parse_boxes(box, [(192, 256)])), 128)\n"
        "(pasted,) = paste_faces([image], faces, crops + 1.0, PasteSettings(0.1, 'none'))\n"
        "assert pasted.image[:, 90, 100].min() > 0.9 and pasted.image[:, 5, 5].max() == 0.0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_added_boxes_are_read():
    assert parse_added_boxes(" ; \n") == []
    boxes = added_boxes("0: 120,80,60,70; 1 : -5, 5.5 ,40,40\n0:1,2,3,4", [SIZE, SIZE])
    assert [(box.frame, box.box) for box in boxes] == [
        (0, (119.5, 79.5, 179.5, 149.5)),
        (1, (-5.5, 5.0, 34.5, 45.0)),
        (0, (0.5, 1.5, 3.5, 5.5)),
    ]
    assert all(box.is_face for box in boxes)


@pytest.mark.parametrize(
    "text", ["120,80,60,70", "0: 1,2,3", "0: 1,2,3,4,5", "a: 1,2,3,4", "-1: 1,2,3,4", "0: 1,2,3,x"]
)
def test_what_is_no_added_box_is_refused(text):
    with pytest.raises(SettingsError, match="is no box of a face") as caught:
        parse_added_boxes(text)
    assert "0: 120,80,60,70" in caught.value.expected and caught.value.remedy


def test_added_boxes_are_checked_against_the_pictures():
    with pytest.raises(SettingsError, match="no picture number 2 to add a face to"):
        added_boxes("2: 1,2,3,4", [SIZE, SIZE])
    with pytest.raises(FaceError, match="outside that picture"):
        added_boxes("0: 300,80,60,70", [SIZE])
    with pytest.raises(FaceError, match="no place or no area"):
        added_boxes("0: 30,80,0,70", [SIZE])


def test_an_added_box_adds_a_face_or_moves_one():
    first, second = face_from_box((10, 20, 70, 90), score=0.7), face_from_box((5, 6, 60, 70), frame=1)
    new, moved = added_boxes("0: 120,80,60,70; 1: 0,0,70,80", [SIZE, SIZE])
    faces = with_added_faces([first, second], [moved, new])
    assert [face.frame for face in faces] == [0, 0, 1], "picture by picture"
    assert faces[0] is first and faces[1].box == new.box and faces[1].score == 1.0
    assert faces[2].box == moved.box and faces[2].landmarks is second.landmarks
    assert with_added_faces([first, second], []) == [first, second]
