"""Detect Faces and Faces from Landmarks in a running host, with toy networks in the published file formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .comfy import PromptError, Server
from .faces import FaceGraph, photo, save_retinaface
from .graphs import Link, saved


def test_no_face_is_an_error_or_passes(faces: Server) -> None:
    graph = FaceGraph()
    image = graph.image("empty.png")
    graph.save(graph.detect(image)[2])
    with pytest.raises(PromptError, match="No face was found"):
        faces.run(graph.api)
    graph = FaceGraph()
    model, image = graph.load_model(), graph.image("empty.png")
    found = graph.detect(image, when_empty="pass")
    restored = graph.sampler(model[0], model[1], found[1], steps=2, faces=found[0])
    ((after,),) = saved(faces, graph, graph.paste(image, found[0], restored[0])[0])
    assert (after == photo([])).all()


def test_wrong_words_are_refused_before_anything_runs(faces: Server) -> None:
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("one.png"), select="the first")[2])
    with pytest.raises(PromptError, match="is no list of faces"):
        faces.run(graph.api)
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("one.png"), select="3")[2])
    with pytest.raises(PromptError, match="no face number 3"):
        faces.run(graph.api)


def test_a_missing_file_says_where_it_is_had(faces: Server, base: Path) -> None:
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("one.png"), graph.detector("retinaface_resnet50"))[2])
    with pytest.raises(PromptError) as caught:
        faces.run(graph.api)
    folder = base / "models" / "refldm"
    for part in ("detection_Resnet50_Final.pth", str(folder), "refldm download retinaface_resnet50", "Apache-2.0"):
        assert part in str(caught.value)


def test_landmarks_typed_in_or_from_the_host(faces: Server) -> None:
    graph = FaceGraph()
    image = graph.image("one.png")
    text = "72 77 120 77 96 101 79 125 115 123"
    found = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=text, crop_size=128)
    mesh = graph.add("RefldmProbeLandmarks", points=text, pictures=1)
    given = graph.add("ReFLDM_FacesFromLandmarks", image=image, text="", crop_size=128, face_landmarks=mesh[0])
    (typed,), (host,), (seen,) = saved(faces, graph, found[1], given[1], graph.detect(image)[1])
    assert np.abs(typed.astype(int) - seen).mean() < 12
    assert (typed == host).all()
    other = graph.add("RefldmProbeLandmarks", points=text, pictures=2)
    graph.add("ReFLDM_FacesFromLandmarks", image=image, text="", crop_size=128, face_landmarks=other[0])
    wrong = str(len(graph.api))
    graph.add("PreviewImage", images=Link(wrong, 1))
    with pytest.raises(PromptError, match="landmarks of 2 pictures of 256x192 pixels for 1"):
        faces.run(graph.api)


def test_retinaface_runs_in_the_memory_manager(faces: Server, base: Path) -> None:
    save_retinaface(base / "models" / "refldm")
    for _ in range(2):
        graph = FaceGraph()
        image = graph.image("group.png")
        found = graph.detect(image, graph.detector("retinaface_mobile0.25"), select="0", order="middle", smallest=100)
        crops, _ = saved(faces, graph, found[1], found[2])
        assert [crop.shape for crop in crops] == [(128, 128, 3)]
        faces.free()
