"""Detect Faces with the boxes of ComfyUI's own nodes, which the host runs with networks made for these tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .boxes import BoxGraph, Place
from .comfy import PromptError, Server
from .faces import changed, photo, require_packages, save, save_networks
from .graphs import Link, saved, text_of
from .mediapipe import MESH, TEXT, save_mediapipe

HEADS: list[Place] = [{"x": 32, "y": 30, "width": 128, "height": 140}, {"x": 296, "y": 28, "width": 112, "height": 144}]
"""Around the toy faces at the places 0 and 1: wider than a face is, and higher."""

TIGHT = {"x": MESH[0], "y": MESH[1], "width": MESH[2] - MESH[0], "height": MESH[3] - MESH[1]}
"""The toy face at place 0, as the stand-in of MediaPipe finds it."""


@pytest.fixture(scope="module")
def pictures(host: Path, base: Path, server: Server) -> Iterator[Server]:
    """The server, with photos of toy faces."""
    shown = {"two.png": photo([2, -2]), "moved.png": photo([2, -2], shift=16), "nobody.png": photo([None, None])}
    for name, picture in shown.items():
        save(picture, base / "input" / name)
    yield server
    for name in shown:
        (base / "input" / name).unlink()


@pytest.fixture
def faces(host: Path, base: Path, pictures: Server) -> Server:
    """The server with a face detector too."""
    require_packages(host)
    save_networks(base / "models" / "refldm")
    return pictures


@pytest.fixture(autouse=True)
def needs_boxes(request: pytest.FixtureRequest, server: Server) -> None:
    """Only the test of the interface runs where the core has no boxes."""
    if not has_boxes(server) and "interface" not in request.node.name:
        pytest.skip(f"{server.host.name} has no boxes of its own: that needs ComfyUI 0.15 or newer")


def has_boxes(server: Server) -> bool:
    return bool(server.get("/object_info/PrimitiveBoundingBox"))


def needs(server: Server, node: str) -> None:
    if not server.get(f"/object_info/{node}"):
        pytest.skip(f"{server.host.name} has no node {node}")


def boxes_of(server: Server, graph: BoxGraph, bboxes: Link) -> list[list[Place]]:
    return json.loads(text_of(server, graph, bboxes))


def places(boxes: list[list[Place]]) -> list[list[tuple[float, ...]]]:
    return [[tuple(round(box[key], 2) for key in ("x", "y", "width", "height")) for box in frame] for frame in boxes]


def place(box: Place) -> tuple[float, ...]:
    return tuple(box[key] for key in ("x", "y", "width", "height"))


def test_the_interface_is_the_hosts(server: Server) -> None:
    """Old workflows keep their inputs and outputs; boxes come after them, where the host has such a type."""
    node = server.get("/object_info/ReFLDM_DetectFaces")["ReFLDM_DetectFaces"]
    required, optional = node["input"]["required"], node["input"].get("optional", {})
    names = ["faces", "crops", "preview"]
    if has_boxes(server):
        assert optional["face_detector"][0] == "REFLDM_FACE_DETECTOR"
        kind, options = optional["bboxes"]
        assert kind == "BOUNDING_BOX" and options["forceInput"], "a socket, not the widget of one box"
        assert node["output"] == ["REFLDM_FACES", "IMAGE", "IMAGE", "BOUNDING_BOX"]
        names = [*names, "bboxes"]
    else:
        assert required["face_detector"][0] == "REFLDM_FACE_DETECTOR"
        assert set(optional) == {"added_boxes"}
        assert node["output"] == ["REFLDM_FACES", "IMAGE", "IMAGE"]
    assert node["output_name"] == names
    assert list(optional)[-1] == "added_boxes" and optional["added_boxes"][0] == "STRING", "after older widgets"


def test_neither_detector_nor_boxes_is_refused_before_anything_runs(pictures: Server) -> None:
    graph = BoxGraph()
    detected = graph.boxed(graph.image("two.png"), Link("1", 0))
    del graph.api[detected.number]["inputs"]["bboxes"]
    graph.save(detected[2])
    answer = pictures.post("/prompt", {"prompt": graph.api}).json()
    assert "neither a face detector nor boxes" in json.dumps(answer["node_errors"])


def test_boxes_alone_restore_their_faces(pictures: Server) -> None:
    graph = BoxGraph()
    model, image = graph.load_model(), graph.image("two.png")
    detected = graph.boxed(image, graph.create(HEADS), select="1")
    restored = graph.sampler(model[0], model[1], detected[1], steps=2, faces=detected[0])
    after, preview = saved(pictures, graph, graph.paste(image, detected[0], restored[0])[0], detected[2])
    before = photo([2, -2])
    assert [changed(before, after[0], at) > 5 for at in range(2)] == [False, True]
    assert (after[0][:, :200] == before[:, :200]).all(), "outside the box, to the last bit"
    x, y = HEADS[0]["x"], HEADS[0]["y"]
    assert (preview[0][y : y + 3, x : x + 50] != before[y : y + 3, x : x + 50]).any(), "the box is drawn"


def source(graph: BoxGraph, kind: str, image: Link) -> tuple[Link, list[Place]]:
    """Boxes from one of the host's nodes, for two pictures, and where they are."""
    scored = [{**box, "score": score, "class": 0} for box, score in zip(HEADS, (0.75, 0.875), strict=True)]
    if kind == "PrimitiveBoundingBox":
        return graph.add(kind, **HEADS[0])[0], HEADS[:1]
    if kind == "CreateBoundingBoxes":
        return graph.create(HEADS), HEADS
    if kind == "SAM3_Detect":
        return graph.sam3(image, scored[:1]), HEADS[:1]
    if kind == "SDPoseFaceBBoxes":
        return graph.sdpose(HEADS[0], (192, 512), 2), HEADS[:1]
    return graph.mediapipe(image)[1], [TIGHT]


@pytest.mark.parametrize(
    "kind",
    ["PrimitiveBoundingBox", "CreateBoundingBoxes", "SAM3_Detect", "SDPoseFaceBBoxes", "MediaPipeFaceLandmarker"],
)
def test_boxes_of_the_hosts_nodes(host: Path, base: Path, pictures: Server, kind: str) -> None:
    needs(pictures, kind)
    if kind.startswith("MediaPipe"):
        save_mediapipe(host, base / "models" / "detection", (192, 512))
    graph = BoxGraph()
    image = graph.image("two.png", "moved.png")
    bboxes, expected = source(graph, kind, image)
    detected = graph.boxed(image, bboxes)
    told = boxes_of(pictures, graph, detected[3])
    assert places(told) == [[place(box) for box in expected]] * 2
    assert all(box["label"] == "face" for frame in told for box in frame)
    (crops,) = saved(pictures, graph, detected[1])
    assert len(crops) == 2 * len(expected)


def test_boxes_of_people_need_the_detector(faces: Server) -> None:
    """RT-DETR knows people, not faces: its boxes say where to search."""
    needs(faces, "RTDETR_detect")
    people = [{"x": 0, "y": 0, "width": 250, "height": 190, "score": 0.9, "class": 0}]
    graph = BoxGraph()
    image = graph.image("two.png")
    bboxes = graph.rtdetr(image, people)
    alone = graph.boxed(image, bboxes)
    graph.save(alone[1])
    with pytest.raises(PromptError, match='labeled "person"'):
        faces.run(graph.api)
    graph = BoxGraph()
    image, detector = graph.image("two.png"), graph.detector()
    inside = graph.boxed(image, graph.rtdetr(image, people), detector)
    whole = graph.detect(image, detector, select="0")
    (of_person,), (expected,) = saved(faces, graph, inside[1], whole[1])
    assert (of_person == expected).all(), "the face of this person alone, as the detector finds it"


def test_a_detector_places_the_landmarks_in_the_box(faces: Server) -> None:
    graph = BoxGraph()
    image, detector = graph.image("two.png"), graph.detector()
    with_both = graph.boxed(image, graph.create([HEADS[1]]), detector)
    alone = graph.boxed(image, graph.create([HEADS[1]]))
    whole = graph.detect(image, detector, select="1")
    (refined,), (average,), (expected,) = saved(faces, graph, with_both[1], alone[1], whole[1])
    assert (refined == expected).all()
    assert (average != expected).any()
    assert places(boxes_of(faces, graph, with_both[3])) == [[place(HEADS[1])]], "the box stays the user's"


def test_a_box_in_which_the_detector_finds_nothing_is_a_face_all_the_same(faces: Server) -> None:
    graph = BoxGraph()
    image = graph.image("nobody.png")
    with_both = graph.boxed(image, graph.create(HEADS[:1]), graph.detector())
    alone = graph.boxed(image, graph.create(HEADS[:1]))
    (refined,), (average,) = saved(faces, graph, with_both[1], alone[1])
    assert (refined == average).all()


def test_boxes_go_out_as_the_host_draws_them_and_come_back(faces: Server) -> None:
    graph = BoxGraph()
    image = graph.image("two.png", "nobody.png")
    detected = graph.detect(image, select="1")
    again = graph.boxed(image, detected[3])
    told, back = boxes_of(faces, graph, detected[3]), boxes_of(faces, graph, again[3])
    assert [len(frame) for frame in told] == [1, 0]
    assert told == back
    needs(faces, "DrawBBoxes")
    drawn = graph.add("DrawBBoxes", image=image, bboxes=detected[3])[0]
    (pictures,) = saved(faces, graph, drawn)
    left, top = (round(told[0][0][key]) for key in ("x", "y"))
    assert (pictures[0][top + 40, left] == (255, 0, 0)).all(), "the host's red line"
    assert (pictures[1] == photo([None, None])).all()


def test_each_frame_of_a_video_has_its_own_boxes(faces: Server) -> None:
    """As RT-DETR, SAM3, SDPose and MediaPipe give them: a face that moves, and a frame without one."""
    graph = BoxGraph()
    frames = graph.image("two.png", "moved.png", "nobody.png")
    detected = graph.detect(frames, select="0")
    followed = graph.boxed(frames, detected[3], video=True)
    told = boxes_of(faces, graph, followed[3])
    assert [len(frame) for frame in told] == [1, 1, 0]
    assert told[1][0]["x"] - told[0][0]["x"] == pytest.approx(16, abs=1)
    crops, _ = saved(faces, graph, followed[1], followed[2])
    assert np.abs(crops[0].astype(int) - crops[1]).mean() < 3, "the crop moves with its box"


def test_boxes_of_other_pictures_are_refused(faces: Server) -> None:
    graph = BoxGraph()
    detected = graph.detect(graph.image("two.png", "moved.png", "nobody.png"), select="0")
    graph.save(graph.boxed(graph.image("two.png", "moved.png"), detected[3])[1])
    with pytest.raises(PromptError, match="boxes of 3 pictures for 2 pictures"):
        faces.run(graph.api)
    graph = BoxGraph()
    far = graph.create([{"x": 600, "y": 500, "width": 90, "height": 100}], (1024, 1024))
    graph.save(graph.boxed(graph.image("two.png"), far)[1])
    with pytest.raises(PromptError, match="outside that picture of 512x192 pixels"):
        faces.run(graph.api)


def test_an_empty_canvas_is_no_face(pictures: Server) -> None:
    graph = BoxGraph()
    graph.save(graph.boxed(graph.image("two.png"), graph.create([]))[2])
    with pytest.raises(PromptError, match="No face was found"):
        pictures.run(graph.api)
    graph = BoxGraph()
    ((preview,),) = saved(pictures, graph, graph.boxed(graph.image("two.png"), graph.create([]), when_empty="pass")[2])
    assert np.abs(preview.astype(int) - photo([2, -2])).max() <= 1, "nothing is drawn"


def test_landmarks_of_the_hosts_mediapipe(host: Path, base: Path, pictures: Server) -> None:
    needs(pictures, "MediaPipeFaceLandmarker")
    save_mediapipe(host, base / "models" / "detection", (192, 512))
    graph = BoxGraph()
    image = graph.image("two.png")
    typed = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=TEXT, crop_size=128)
    landmarks, _ = graph.mediapipe(image)
    meshed = graph.add("ReFLDM_FacesFromLandmarks", image=image, text="", crop_size=128, face_landmarks=landmarks)
    (of_text,), (of_mesh,) = saved(pictures, graph, typed[1], meshed[1])
    assert np.abs(of_text.astype(int) - of_mesh).max() <= 1
    # Found in a picture of another size, they would be at another place.
    small = graph.add("ImageScale", image=image, upscale_method="area", width=256, height=96, crop="disabled")[0]
    wrong = graph.add("ReFLDM_FacesFromLandmarks", image=small, text="", crop_size=128, face_landmarks=landmarks)
    graph.save(wrong[1])
    with pytest.raises(PromptError, match="1 pictures of 512x192 pixels for 1 pictures of 256x96 pixels"):
        pictures.run(graph.api)
