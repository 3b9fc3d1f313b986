"""Boxes of ComfyUI's own detection nodes: reading, writing, and conversion to faces."""

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


def frames_and_lefts(boxes: list[BoundingBox]) -> list[tuple[int, float]]:
    return [(box.frame, box.box[0]) for box in boxes]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([[PLAIN, LABELED], [], [LABELED]], [(0, 9.5), (0, 100.0), (2, 100.0)]),  # RT-DETR, SAM3, SDPose, MediaPipe
        ([[PLAIN]], [(0, 9.5), (1, 9.5), (2, 9.5)]),  # Create Bounding Boxes with one canvas for all pictures
        ([], []),  # Create Bounding Boxes with an empty canvas
        ([[], [], []], []),
        ([PLAIN, LABELED], [(0, 9.5), (0, 100.0), (1, 9.5), (1, 100.0), (2, 9.5), (2, 100.0)]),
        (PLAIN, [(0, 9.5), (1, 9.5), (2, 9.5)]),  # Bounding Box
    ],
)
def test_every_layout_of_the_host_is_read(value, expected):
    assert frames_and_lefts(parse_boxes(value, [SIZE] * 3)) == expected


def test_a_parsed_box_keeps_position_score_and_label():
    plain, labeled = parse_boxes([PLAIN, LABELED], [SIZE])
    # The host's x is 0 at the edge of the first pixel. Our x is 0 at its center.
    assert plain == BoundingBox((9.5, 19.5, 39.5, 59.5))
    assert labeled == BoundingBox((100.0, 59.75, 150.0, 119.75), 0, 0.75, "face")


def test_a_wrong_number_of_box_lists_is_refused():
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
def test_an_invalid_box_is_refused_by_its_picture(box):
    with pytest.raises(FaceError, match="picture 2 has no position or no area"):
        parse_boxes([[], [PLAIN, box]], [SIZE] * 2)


def test_a_value_without_boxes_is_refused_by_its_type():
    with pytest.raises(FaceError, match="A value of type str holds no boxes"):
        parse_boxes("10 20 30 40", [SIZE])


def test_a_box_outside_its_picture_is_refused_but_a_box_across_the_border_is_not():
    parse_boxes({**PLAIN, "x": -10, "y": 170}, [SIZE])
    for position in ({"x": 512}, {"y": 512}, {"x": -40}, {"y": -50}):
        with pytest.raises(FaceError, match="outside that picture of 256x192 pixels"):
            parse_boxes({**PLAIN, **position}, [SIZE])


def test_an_upright_average_face_is_recovered_from_its_box():
    landmarks = Landmarks5(0.3 * FFHQ_TEMPLATE + [40.0, -7.0])
    face = face_from_landmarks(landmarks, 2)
    recovered = face_from_box(face.box, frame=2)
    np.testing.assert_allclose(recovered.landmarks.points, landmarks.points, atol=1e-9)
    assert recovered.box == face.box
    assert (recovered.frame, recovered.score) == (2, 1.0)


@pytest.mark.parametrize("box", [(10.0, 20.0, 410.0, 310.0), (-20.0, -30.0, 192.0, 700.0)])
def test_the_average_face_fills_the_shorter_side_in_the_middle_of_the_box(box):
    """Some boxes are wider or taller than a face: squares of SDPose, or boxes that include the neck."""
    face = face_from_box(box)
    eye_to_eye = face.landmarks.points[1] - face.landmarks.points[0]
    np.testing.assert_allclose(eye_to_eye, FFHQ_TEMPLATE[1] - FFHQ_TEMPLATE[0], atol=1e-9)
    average_face = face_from_landmarks(face.landmarks)
    np.testing.assert_allclose(average_face.center, face.center, atol=1e-9)
    assert face.box == box


def detected(left: float, top: float, width: float, height: float, *, frame: int = 0, score: float = 0.9) -> Face:
    """Make a face whose landmarks differ from those of an average face."""
    face = face_from_box((left, top, left + width, top + height), score=score, frame=frame)
    return replace(face, landmarks=Landmarks5(face.landmarks.points + np.array([1.0, 2.0])))


def test_a_box_takes_the_landmarks_of_the_detected_face_inside():
    inside, beside = detected(12, 22, 28, 36), detected(150, 22, 28, 36)
    (face,) = faces_from_boxes(parse_boxes({**PLAIN, "score": 0.5}, [SIZE]), [beside, inside])
    assert face.landmarks is inside.landmarks
    assert face.box == (9.5, 19.5, 39.5, 59.5), "the user's box stays"
    assert face.score == 0.5
    (face,) = faces_from_boxes(parse_boxes(PLAIN, [SIZE]), [inside])
    assert face.score == 0.9, "a box without a score takes the detector's"


@pytest.mark.parametrize(
    "elsewhere",
    [
        [],
        [detected(150, 22, 28, 36)],  # beside the box
        [detected(12, 22, 28, 36, frame=1)],  # in another picture
        [detected(14, 26, 5, 6)],  # an eye that was mistaken for a face
        [detected(32, 22, 28, 36)],  # a neighbor whose middle is outside the box
    ],
)
def test_a_box_without_a_detected_face_gives_an_average_face(elsewhere):
    (face,) = faces_from_boxes(parse_boxes([[PLAIN], []], [SIZE] * 2), elsewhere)
    expected = face_from_box((9.5, 19.5, 39.5, 59.5))
    np.testing.assert_array_equal(face.landmarks.points, expected.landmarks.points)


def test_a_box_of_a_person_only_limits_the_search():
    person = {"x": 0, "y": 0, "width": 100, "height": 190, "label": "person", "score": 0.99}
    chair = {"x": 110, "y": 100, "width": 80, "height": 90, "label": "chair", "score": 0.5}
    head, stranger = detected(30, 10, 24, 30), detected(200, 10, 24, 30)
    (face,) = faces_from_boxes(parse_boxes([[person, chair]], [SIZE]), [stranger, head])
    assert face is head, "the head keeps its own box, landmarks and score, and the chair has no face"
    assert faces_from_boxes(parse_boxes([[chair]], [SIZE]), [head]) == []
    with pytest.raises(FaceError, match='labeled "person"'):
        faces_from_boxes(parse_boxes([[LABELED, person]], [SIZE]))


def test_two_boxes_never_share_a_detected_face():
    boxes = parse_boxes(
        [{"x": 0, "y": 0, "width": 100, "height": 190, "label": "person"}, {**PLAIN, "label": "Face 1"}], [SIZE]
    )
    left, right = detected(12, 22, 28, 36), detected(60, 22, 28, 36)
    of_person, of_face = faces_from_boxes(boxes, [left, right])
    assert of_person is right
    assert of_face.landmarks is left.landmarks
    (only_face,) = faces_from_boxes(boxes, [left])
    assert only_face.landmarks is left.landmarks


def test_faces_survive_conversion_to_host_boxes_and_back():
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
    converted = faces_from_boxes(parse_boxes(boxes, [SIZE] * 3), faces)
    assert [(face.box, face.score, face.frame) for face in converted] == [
        (faces[i].box, faces[i].score, faces[i].frame) for i in (1, 0, 2)
    ]


def test_boxes_need_no_optional_package():
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


def test_added_boxes_are_parsed():
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
def test_an_invalid_added_box_is_refused(text):
    with pytest.raises(SettingsError, match="is not a box of a face") as caught:
        parse_added_boxes(text)
    assert "0: 120,80,60,70" in caught.value.expected and caught.value.remedy


def test_added_boxes_are_checked_against_the_pictures():
    with pytest.raises(SettingsError, match="no picture number 2 to add a face to"):
        added_boxes("2: 1,2,3,4", [SIZE, SIZE])
    with pytest.raises(FaceError, match="outside that picture"):
        added_boxes("0: 300,80,60,70", [SIZE])
    with pytest.raises(FaceError, match="no position or no area"):
        added_boxes("0: 30,80,0,70", [SIZE])


def test_an_added_box_adds_a_face_or_moves_a_detected_face():
    first, second = face_from_box((10, 20, 70, 90), score=0.7), face_from_box((5, 6, 60, 70), frame=1)
    new, moved = added_boxes("0: 120,80,60,70; 1: 0,0,70,80", [SIZE, SIZE])
    faces = with_added_faces([first, second], [moved, new])
    assert [face.frame for face in faces] == [0, 0, 1], "faces are sorted by picture"
    assert faces[0] is first and faces[1].box == new.box and faces[1].score == 1.0
    assert faces[2].box == moved.box and faces[2].landmarks is second.landmarks
    assert with_added_faces([first, second], []) == [first, second]
