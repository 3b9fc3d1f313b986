"""The first pass: faces of all frames, without a difference for a search that was stopped and continued."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from refldm_core.face.alignment import face_from_landmarks
from refldm_core.face.color import match_colors
from refldm_core.face.selection import select_faces
from refldm_core.face.steadying import COLOR_WEIGHT, Steadying
from refldm_core.face.template import template
from refldm_core.face.tracking import average_landmarks, fill_gaps, track_faces
from refldm_core.face.types import Face, Faces, Landmarks5
from refldm_core.temporal import STEADY, with_steady_colors
from refldm_core.video.reading import Frame
from refldm_core.video.restoration import VideoSettings
from refldm_core.video.search import DetectedFaces, FaceFinder, faces_to_restore, search

from .clips import HEIGHT, WIDTH, SquareDetector, picture


def _frames(count: int, first: int = 0, faces: int = 2) -> list[Frame]:
    return [Frame(k, k, picture(k, faces=faces)) for k in range(first, count)]


def _select_all(faces: Faces) -> Faces:
    return faces


def _select_largest(faces: Faces) -> Faces:
    return select_faces(faces, count=1, when_empty="pass")


def _as_json(detected: DetectedFaces) -> str:
    return json.dumps(detected.as_json())


@pytest.mark.parametrize("stop", [1, 7, 20])
def test_continued_search_finds_the_same(stop: int) -> None:
    complete, begun = DetectedFaces(), DetectedFaces()
    search(_frames(20), FaceFinder(SquareDetector()), complete)
    assert complete.is_complete and complete.frames == 20 and {face.track for face in complete.faces} == {0, 1}
    search(_frames(stop), FaceFinder(SquareDetector()), begun)
    continued = DetectedFaces.from_json(json.loads(_as_json(begun)))
    assert _as_json(continued) == _as_json(begun)
    search(_frames(20, stop), FaceFinder(SquareDetector()), continued)
    assert _as_json(continued) == _as_json(complete)


def test_search_keeps_no_embeddings_and_saves_its_state() -> None:
    detected, saved = DetectedFaces(), list[int]()
    frames = [Frame(k, k, picture(k % 5)) for k in range(501)]
    search(frames, FaceFinder(SquareDetector()), detected, lambda state: saved.append(state.frames))
    assert saved == [250, 500, 501]
    assert all(face.embedding is None for face in detected.faces)


def test_only_person_is_the_person_of_every_face_without_a_recognizer() -> None:
    detected = DetectedFaces()
    search(_frames(3), FaceFinder(SquareDetector(), only_person="anna"), detected)
    assert {face.person for face in detected.faces} == {"anna"}


def test_whole_tracks_are_chosen() -> None:
    """One frame shows the other face larger, and the choice does not jump to it."""
    sizes = [(44.0, 40.0) if k == 4 else (40.0, 44.0) for k in range(9)]
    faces = [_face(k, x, size) for k in range(9) for x, size in zip((80.0, 20.0), sizes[k], strict=True)]
    tracked = track_faces(faces)
    chosen = faces_to_restore(tracked, (HEIGHT, WIDTH), _select_largest, deviation=0.0)
    assert list(chosen) == list(range(9))
    assert {face.track for in_frame in chosen.values() for face in in_frame} == {1}
    everything = faces_to_restore(tracked, (HEIGHT, WIDTH), _select_all, deviation=0.0)
    assert all(len(in_frame) == 2 for in_frame in everything.values())


def _face(frame: int, x: float, size: float) -> Face:
    return replace(face_from_landmarks(Landmarks5(template(64) * size / 64 + np.array([x, 20.0]))), frame=frame)


def test_only_tracks_of_the_people_are_restored() -> None:
    faces = track_faces([_face(k, x, 40.0) for k in range(5) for x in (0.0, 80.0)])
    named = [replace(face, person="anna" if face.track == 0 and face.frame != 2 else None) for face in faces]
    chosen = faces_to_restore(named, (HEIGHT, WIDTH), _select_all, deviation=0.0, people=["anna"])
    assert [[face.track for face in chosen[k]] for k in range(5)] == [[0]] * 5, "also where nobody was recognized"


def test_short_gaps_of_a_track_are_filled() -> None:
    positions = {0: 10.0, 1: 11.0, 4: 14.0, 5: 15.0, 12: 22.0}
    faces = [replace(_face(frame, x, 40.0), track=0) for frame, x in positions.items()]
    filled = fill_gaps(faces, longest=5)
    assert [face.frame for face in filled] == [0, 1, 2, 3, 4, 5, 12], "a gap of six frames stays"
    expected = _face(2, 12.0, 40.0)
    assert np.allclose(filled[2].landmarks.points, expected.landmarks.points) and filled[2].track == 0
    assert filled[2].box == pytest.approx(expected.box)
    jump = [replace(_face(frame, x, 40.0), track=0) for frame, x in {0: 0.0, 2: 90.0}.items()]
    assert fill_gaps(jump) == jump, "nothing is between two scenes"


def test_averages_of_a_long_track_are_those_of_its_neighborhood() -> None:
    faces = [replace(_face(k, 20.0 + k % 3, 40.0), track=0) for k in range(200)]
    averaged = average_landmarks(faces, 2.0)
    part = average_landmarks(faces[50:150], 2.0)
    assert np.abs(averaged[100].landmarks.points - part[50].landmarks.points).max() < 1e-9


def test_steadying_frame_by_frame_equals_that_of_the_whole_clip() -> None:
    """Through a cut, a gap, two tracks, and a state that was kept and loaded."""
    torch.manual_seed(0)
    base = torch.rand(2, 3, 64, 64) * 1.2 - 0.6
    faces = [_face(k, 0.0, 40.0) for k in range(12) for _ in range(2)]
    faces = [replace(face, track=i % 2) for i, face in enumerate(faces) if not (face.frame == 7 and i % 2)]
    scenes = [base[face.track or 0] * (1.0 if face.frame < 4 else -1.0) for face in faces]
    crops = torch.stack([scene + 0.05 * torch.randn_like(scene) for scene in scenes]).clamp(-1.0, 1.0)
    steadied: list[Tensor] = []
    steadying = Steadying(COLOR_WEIGHT)
    for crop, face in zip(crops, faces, strict=True):
        if face.frame == 6:
            state = steadying.state()
            steadying = Steadying(COLOR_WEIGHT)
            steadying.restore_state(state)
        steadied.append(steadying.add(crop, face))
    colored = [match_colors(crop, average, "wavelet") for crop, average in zip(crops, steadied, strict=True)]
    expected = with_steady_colors(crops, crops, faces)
    assert torch.equal(torch.stack(colored).clamp(-1.0, 1.0), expected)
    assert not torch.equal(expected, crops)


def test_defaults_are_the_measured_steady_settings() -> None:
    assert VideoSettings().steadying == STEADY.steadying and STEADY.strength == STEADY.smoothing == 0.0
