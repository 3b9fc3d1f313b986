"""Detect Faces and Faces from Landmarks in a running host, with toy networks in the published file formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .comfy import PromptError, Server
from .faces import FaceGraph, photo, save_retinaface
from .graphs import Link, fetch_pictures


def test_photo_without_faces_is_an_error_or_passes_unchanged(face_server: Server) -> None:
    graph = FaceGraph()
    image = graph.image("empty.png")
    graph.save(graph.detect(image)[2])
    with pytest.raises(PromptError, match="No face was found"):
        face_server.run(graph.api)
    graph = FaceGraph()
    model, image = graph.load_model(), graph.image("empty.png")
    detected = graph.detect(image, when_empty="pass")
    restored = graph.sampler(model[0], model[1], detected[1], steps=2, faces=detected[0])
    ((after,),) = fetch_pictures(face_server, graph, graph.paste(image, detected[0], restored[0])[0])
    assert (after == photo([])).all()


def test_invalid_selections_are_refused(face_server: Server) -> None:
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("one.png"), select="the first")[2])
    with pytest.raises(PromptError, match="is not a list of faces"):
        face_server.run(graph.api)
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("one.png"), select="3")[2])
    with pytest.raises(PromptError, match="no face number 3"):
        face_server.run(graph.api)


def test_error_for_missing_weights_names_folder_download_and_license(face_server: Server, base: Path) -> None:
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("one.png"), graph.detector("retinaface_resnet50"))[2])
    with pytest.raises(PromptError) as failure:
        face_server.run(graph.api)
    folder = base / "models" / "refldm"
    for part in ("detection_Resnet50_Final.pth", str(folder), "refldm download retinaface_resnet50", "Apache-2.0"):
        assert part in str(failure.value)


def test_typed_landmarks_equal_landmarks_from_the_host(face_server: Server) -> None:
    graph = FaceGraph()
    image = graph.image("one.png")
    text = "72 77 120 77 96 101 79 125 115 123"
    from_text = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=text, crop_size=128)
    mesh = graph.add("RefldmProbeLandmarks", points=text, pictures=1)
    from_mesh = graph.add("ReFLDM_FacesFromLandmarks", image=image, text="", crop_size=128, face_landmarks=mesh[0])
    (typed,), (meshed,), (detected,) = fetch_pictures(
        face_server, graph, from_text[1], from_mesh[1], graph.detect(image)[1]
    )
    assert np.abs(typed.astype(int) - detected).mean() < 12
    assert (typed == meshed).all()
    two_meshes = graph.add("RefldmProbeLandmarks", points=text, pictures=2)
    graph.add("ReFLDM_FacesFromLandmarks", image=image, text="", crop_size=128, face_landmarks=two_meshes[0])
    mismatched = str(len(graph.api))
    graph.add("PreviewImage", images=Link(mismatched, 1))
    with pytest.raises(PromptError, match="landmarks of 2 pictures of 256x192 pixels for 1"):
        face_server.run(graph.api)


def test_retinaface_detects_again_after_the_host_unloads_it(face_server: Server, base: Path) -> None:
    save_retinaface(base / "models" / "refldm")
    for _ in range(2):
        graph = FaceGraph()
        image = graph.image("group.png")
        detected = graph.detect(
            image, graph.detector("retinaface_mobile0.25"), select="0", order="middle", smallest=100
        )
        crops, _ = fetch_pictures(face_server, graph, detected[1], detected[2])
        assert [crop.shape for crop in crops] == [(128, 128, 3)]
        face_server.free()
