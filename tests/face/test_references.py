"""Choice of reference photos: the right person, good quality, no copies, different views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from refldm_core.errors import ReferencesError, SettingsError
from refldm_core.face.backends import ScrfdNetwork
from refldm_core.face.candidates import Candidate, find_candidates
from refldm_core.face.detection import DetectionSettings, SearchingDetector
from refldm_core.face.identity import ArcFaceRecognizer, centroid, cosine
from refldm_core.face.quality import Pose, Quality
from refldm_core.face.reference_rules import ReferenceSettings, group_people
from refldm_core.face.references import choose_references, select_references
from refldm_core.face.types import Face, Landmarks5
from tests.face.toys import draw_face, people, save_arcface, save_scrfd

LOOKS = Landmarks5([[0, 0], [4, 0], [2, 2], [0, 4], [4, 4]])
GOOD = Quality(size=200, blur=0.3, confidence=0.95, inside=1.0, visible=None, pose=Pose(0, 0, 0))


def candidate(photo, embedding, fingerprint=None, **quality):
    bits = np.random.default_rng(photo).random(64) < 0.5 if fingerprint is None else fingerprint
    face = Face((0, 0, 9, 9), 0.9, LOOKS, embedding=embedding)
    return Candidate(photo, face, torch.full((3, 8, 8), photo / 100), replace(GOOD, **quality), bits)


def names(count):
    return [f"{i:02}.jpg" for i in range(count)]


@pytest.mark.parametrize("spread", [0.5, 1.0])
@pytest.mark.parametrize("strangers", ["three people", "one person"])
def test_three_photos_of_strangers_among_twelve_are_dropped(spread, strangers):
    embeddings = people(4, 9, spread)
    other_people = [embeddings[i, 0] for i in (1, 2, 3)] if strangers == "three people" else list(embeddings[1, :3])
    photos = [*embeddings[0], *other_people]
    order = np.random.default_rng(3).permutation(12)
    chosen = choose_references(names(12), [candidate(i, photos[j]) for i, j in enumerate(order)], ReferenceSettings(12))
    dropped = {i for i, verdict in enumerate(chosen.verdicts) if not verdict.chosen}
    assert dropped == {i for i, j in enumerate(order) if j >= 9}
    assert all("another person" in chosen.verdicts[i].reason for i in dropped)
    assert cosine(chosen.centroid[None], centroid(embeddings[0])[None])[0, 0] > 0.99


def test_a_known_person_is_chosen_even_in_a_minority_of_photos():
    embeddings = people(2, 6, 0.8)
    candidates = [candidate(i, e) for i, e in enumerate([*embeddings[0, :5], *embeddings[1, :2]])]
    chosen = choose_references(names(7), candidates, person=centroid(embeddings[1, 2:]))
    assert sorted(chosen.names) == ["05.jpg", "06.jpg"]
    assert "similarity to the person" in chosen.verdicts[0].reason


def test_only_the_persons_face_is_chosen_from_group_photos():
    embeddings = people(5, 4, 0.8)
    crowd = [
        candidate(photo, embeddings[person, photo])
        for photo in range(4)
        for person in ((0, photo + 1)[:: 1 - 2 * (photo % 2)])
    ]
    chosen = choose_references(names(4), crowd)
    assert sorted(chosen.names) == names(4)
    assert all(cosine(face.embedding[None], embeddings[0]).max() > 0.9 for face in chosen.faces)


def test_flawed_photos_are_dropped_with_the_reason():
    embeddings = people(1, 8, 0.8)[0]
    flaws = [
        ({"size": 20.0}, "tiny face (20 of 80 pixels)"),
        ({"blur": 0.8}, "blurred"),
        ({"visible": 0.5}, "occluded (50% of the face visible)"),
        ({"inside": 0.4}, "cut off by the border"),
        ({"confidence": 0.5}, "hardly a face"),
    ]
    flawed = [candidate(i, embeddings[i], **flaw) for i, (flaw, _) in enumerate(flaws)]
    chosen = choose_references(names(8), [*flawed, candidate(5, embeddings[5]), candidate(6, embeddings[6])])
    for verdict, (_, reason) in zip(chosen.verdicts, flaws, strict=False):
        assert not verdict.chosen
        assert reason in verdict.reason
    assert sorted(chosen.names) == ["05.jpg", "06.jpg"]
    assert chosen.verdicts[7].reason == "no face found"
    assert len(chosen.report.splitlines()) == 8


def test_only_the_best_copy_of_a_photo_is_chosen():
    embeddings = people(1, 4, 0.8)[0]
    bits = np.random.default_rng(0).random(64) < 0.5
    similar_bits = bits.copy()
    similar_bits[:5] ^= True
    faces = [
        candidate(0, embeddings[0], bits, size=100.0),
        candidate(1, embeddings[0], similar_bits, size=250.0),
        candidate(2, embeddings[0], ~bits),  # the same embedding, but another picture
        candidate(3, embeddings[1], bits),  # another face at the same place
    ]
    chosen = choose_references(names(4), faces)
    assert [v.chosen for v in chosen.verdicts] == [False, True, True, True]
    assert "copy of 01.jpg" in chosen.verdicts[0].reason


def test_the_best_photo_is_first_and_the_others_differ_in_pose():
    embeddings = people(1, 7, 0.3)[0]
    yaws = [0, 2, -3, 4, 45, -40, 1]
    faces = [candidate(i, embeddings[i], pose=Pose(yaw, 0, 0), size=200.0 + i % 2) for i, yaw in enumerate(yaws)]
    faces[3] = candidate(3, embeddings[3], pose=Pose(4, 0, 0), size=256.0)
    chosen = choose_references(names(7), faces, ReferenceSettings(3))
    assert chosen.names[0] == "03.jpg"
    assert set(chosen.names[1:]) == {"04.jpg", "05.jpg"}
    assert "not needed" in chosen.verdicts[0].reason
    assert "yaw +45" in chosen.verdicts[4].reason
    assert float(chosen.crops[0, 0, 0, 0]) == pytest.approx(0.03)


def test_no_usable_photo_is_an_error_with_all_verdicts():
    embeddings = people(1, 2, 0.8)[0]
    with pytest.raises(ReferencesError, match=r"(?s)00\.jpg: blurred.*01\.jpg: no face found"):
        choose_references(names(2), [candidate(0, embeddings[0], blur=0.9)])
    with pytest.raises(ReferencesError, match="None of the photos"):
        choose_references(names(3), [])
    with pytest.raises(SettingsError):
        ReferenceSettings(count=0)


def test_a_face_that_resembles_two_people_does_not_join_them():
    embeddings = people(2, 5, 0.5)
    between = centroid(np.stack([embeddings[0, 0], embeddings[1, 0]]))
    groups = group_people(np.concatenate([embeddings[0], embeddings[1], between[None]]), 0.35)
    assert set(groups[:5]).isdisjoint(groups[5:10])


def test_references_are_selected_from_photos_with_real_networks(tmp_path):
    save_scrfd(tmp_path / "det.onnx")
    save_arcface(tmp_path / "rec.onnx")
    detector = SearchingDetector(ScrfdNetwork(tmp_path / "det.onnx"), DetectionSettings(0.5, smallest=40))
    pictures = [np.full((360, 480, 3), 127, dtype=np.uint8) for _ in range(3)]
    draw_face(pictures[0], (224, 160), 96)
    draw_face(pictures[2], (96, 96), 48)
    tensors = [torch.as_tensor(p).movedim(-1, 0).float() / 127.5 - 1 for p in pictures]
    chosen = select_references(
        zip(["large", "empty", "small"], tensors, strict=True),
        detector,
        ArcFaceRecognizer(tmp_path / "rec.onnx"),
        ReferenceSettings(max_blur=1.0),
    )
    assert chosen.names == ("large",)
    assert chosen.crops.shape == (1, 3, 512, 512)
    assert [v.reason.split(" (")[0] for v in chosen.verdicts] == ["best quality", "no face found", "tiny face"]
    (found_candidate,) = find_candidates(7, tensors[0], detector, ArcFaceRecognizer(tmp_path / "rec.onnx"))
    assert found_candidate.photo == 7
    np.testing.assert_allclose(found_candidate.face.center, (223.5, 159.5), atol=2)
