"""Typed landmarks, and landmarks of other detectors."""

from __future__ import annotations

import numpy as np
import pytest

from refldm_core.face.alignment import FFHQ_TEMPLATE
from refldm_core.face.errors import FaceError
from refldm_core.face.landmarks import landmarks_from_points, parse_landmarks


def test_each_line_of_typed_landmarks_is_a_face():
    line = "193 240, 319 240, 257 314, 201 371, 313 371"
    faces = parse_landmarks(f"{line}\n\n[1.5, 2], (3e0 2) .5;4 1 5 3.25 5\n")
    assert len(faces) == 2
    np.testing.assert_array_equal(faces[0].points, [[193, 240], [319, 240], [257, 314], [201, 371], [313, 371]])
    np.testing.assert_array_equal(faces[1].points[2], [0.5, 4])


@pytest.mark.parametrize(("text", "message"), [("1 2 3", "Line 1 .* 3 numbers"), ("  \n", "No landmarks")])
def test_texts_of_another_form_are_refused_with_their_problem(text, message):
    with pytest.raises(FaceError, match=message):
        parse_landmarks(text)


@pytest.mark.parametrize("count", [68, 468, 478])
def test_points_of_other_detectors_are_averaged_to_five_landmarks(count):
    """Every group of points is at the position of its landmark. All other points are somewhere else."""
    groups = {
        68: [range(36, 42), range(42, 48), [30], [48], [54]],
        468: [[33, 133], [362, 263], [1], [61], [291]],
        478: [[468], [473], [1], [61], [291]],
    }[count]
    points = np.full((count, 3), -50.0)
    for group, landmark in zip(groups, FFHQ_TEMPLATE, strict=True):
        points[list(group), :2] = landmark
    np.testing.assert_allclose(landmarks_from_points(points).points, FFHQ_TEMPLATE)


def test_exchanged_sides_are_refused_but_an_upside_down_face_is_not():
    with pytest.raises(FaceError, match="exchanged"):
        landmarks_from_points(FFHQ_TEMPLATE[[1, 0, 2, 4, 3]])
    landmarks_from_points(512 - FFHQ_TEMPLATE)


def test_an_unknown_number_of_points_is_refused_with_its_shape():
    with pytest.raises(FaceError, match=r"\(106, 2\)"):
        landmarks_from_points(np.zeros((106, 2)))
