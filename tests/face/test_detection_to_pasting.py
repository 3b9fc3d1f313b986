"""All steps from detection to pasting: every face of a group photo changes, and nothing else."""

from __future__ import annotations

import numpy as np
import torch

from refldm_core.face.alignment import align_faces
from refldm_core.face.backends import ScrfdNetwork
from refldm_core.face.detection import DetectionSettings, SearchingDetector, detect_batch
from refldm_core.face.identity import ArcFaceRecognizer, embed_aligned, embed_faces
from refldm_core.face.matching import match_people, with_embeddings, with_people
from refldm_core.face.paste import PasteSettings, paste_faces
from refldm_core.face.selection import select_faces
from tests.face.toys import draw_face, save_arcface, save_scrfd


def test_twenty_faces_of_five_people_are_detected_matched_and_pasted(tmp_path):
    save_scrfd(tmp_path / "det.onnx")
    save_arcface(tmp_path / "rec.onnx")
    detector = SearchingDetector(ScrfdNetwork(tmp_path / "det.onnx"), DetectionSettings(0.5, smallest=40, turns=(0,)))
    recognizer = ArcFaceRecognizer(tmp_path / "rec.onnx")
    picture = np.full((480, 620, 3), 127, dtype=np.uint8)
    centers = [(88 + 112 * (i % 5), 72 + 112 * (i // 5)) for i in range(20)]
    for i, center in enumerate(centers):
        draw_face(picture, center, 48)
        # The brightness beside a face distinguishes these people. The toy detector ignores it.
        for side in (-36, 26):
            picture[center[1] - 24 : center[1] + 24, center[0] + side : center[0] + side + 10] = 127 + 60 * (i % 5 - 2)
    image = torch.as_tensor(picture).movedim(-1, 0).float() / 127.5 - 1

    detected = detect_batch([image], detector)
    faces, crops = align_faces([image], detected, 128)
    faces = select_faces(faces, order="top to bottom")
    assert len(faces) == 20

    embeddings = embed_faces(recognizer, [image], faces.faces)
    people = [centers.index(min(centers, key=lambda c: np.hypot(*np.subtract(f.center, c)))) % 5 for f in faces.faces]
    embedding_of_name = {f"person {p}": embeddings[people.index(p)] for p in range(5)}
    matches = match_people(embeddings, [0] * 20, embedding_of_name, repeats=True)
    named = with_people(with_embeddings(faces.faces, embeddings), matches)
    assert [face.person for face in named] == [f"person {p}" for p in people]

    restored = torch.zeros(20, 3, 128, 128)
    (pasted,) = paste_faces([image], faces.with_faces(named), restored, PasteSettings(0.1, color="none"))
    for x, y in centers:
        assert pasted.image[:, y - 20 : y + 20, x - 20 : x + 20].abs().max() < 0.02
    assert torch.equal(pasted.image[:, pasted.mask == 0], image[:, pasted.mask == 0])
    assert embed_aligned(recognizer, restored, faces).shape == (20, 512)
    assert crops.shape == (20, 3, 128, 128)


def test_a_photo_without_faces_is_returned_unchanged(tmp_path):
    save_scrfd(tmp_path / "det.onnx")
    image = torch.zeros(3, 200, 300)
    detected = detect_batch([image], SearchingDetector(ScrfdNetwork(tmp_path / "det.onnx")))
    faces, crops = align_faces([image], detected)
    faces = select_faces(faces, when_empty="pass")
    (pasted,) = paste_faces([image], faces, crops)
    assert torch.equal(pasted.image, image)
