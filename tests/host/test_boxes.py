"""Detect Faces with boxes from ComfyUI's own nodes, which run on networks made for these tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .boxes import Box, BoxGraph
from .comfy import PromptError, Server
from .faces import face_change, photo, require_packages, save_networks, save_picture
from .graphs import Link, fetch_pictures, fetch_text
from .mediapipe import MESH, TEXT, save_mediapipe

HEADS: list[Box] = [{"x": 32, "y": 30, "width": 128, "height": 140}, {"x": 296, "y": 28, "width": 112, "height": 144}]
"""Boxes around the toy faces at the places 0 and 1, wider and higher than a face."""

MESH_BOX = {"x": MESH[0], "y": MESH[1], "width": MESH[2] - MESH[0], "height": MESH[3] - MESH[1]}
"""Box of the toy face at place 0, as the stand-in for MediaPipe finds it."""


@pytest.fixture(scope="module")
def photo_server(host: Path, base: Path, server: Server) -> Iterator[Server]:
    """The server with photos of toy faces."""
    photos = {"two.png": photo([2, -2]), "moved.png": photo([2, -2], shift=16), "nobody.png": photo([None, None])}
    for name, picture in photos.items():
        save_picture(picture, base / "input" / name)
    yield server
    for name in photos:
        (base / "input" / name).unlink()


@pytest.fixture
def detector_server(host: Path, base: Path, photo_server: Server) -> Server:
    """The server with photos of toy faces and a face detector."""
    require_packages(host)
    save_networks(base / "models" / "refldm")
    return photo_server


@pytest.fixture(autouse=True)
def require_boxes(request: pytest.FixtureRequest, server: Server) -> None:
    """Skip all tests but that of the interface if the host has no type for boxes."""
    if not has_boxes(server) and "interface" not in request.node.name:
        pytest.skip(f"{server.host.name} has no boxes of its own: that needs ComfyUI 0.15 or newer")


def has_boxes(server: Server) -> bool:
    return bool(server.get("/object_info/PrimitiveBoundingBox"))


def require_node(server: Server, node: str) -> None:
    if not server.get(f"/object_info/{node}"):
        pytest.skip(f"{server.host.name} has no node {node}")


def boxes_of(server: Server, graph: BoxGraph, bboxes: Link) -> list[list[Box]]:
    """Run a graph, and return the boxes of each picture."""
    return json.loads(fetch_text(server, graph, bboxes))


def rounded_places(boxes: list[list[Box]]) -> list[list[tuple[float, ...]]]:
    """Return (x, y, width, height) of each box, rounded to 0.01 pixels."""
    return [[tuple(round(box[key], 2) for key in ("x", "y", "width", "height")) for box in frame] for frame in boxes]


def place(box: Box) -> tuple[float, ...]:
    """Return (x, y, width, height)."""
    return tuple(box[key] for key in ("x", "y", "width", "height"))


def test_interface_keeps_earlier_sockets_and_adds_boxes_where_the_host_has_them(server: Server) -> None:
    """Old workflows keep their inputs and outputs. Boxes come after them if the host has a type for boxes."""
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
        assert set(optional) == {"added_boxes", "averaging"}
        assert node["output"] == ["REFLDM_FACES", "IMAGE", "IMAGE"]
    assert node["output_name"] == names
    assert list(optional)[-2:] == ["added_boxes", "averaging"], "after older widgets"
    assert optional["added_boxes"][0] == "STRING"


def test_missing_detector_and_boxes_are_refused_before_the_run(photo_server: Server) -> None:
    graph = BoxGraph()
    detected = graph.detect_in_boxes(graph.image("two.png"), Link("1", 0))
    del graph.api[detected.number]["inputs"]["bboxes"]
    graph.save(detected[2])
    answer = photo_server.post("/prompt", {"prompt": graph.api}).json()
    assert "neither a face detector nor boxes" in json.dumps(answer["node_errors"])


def test_boxes_without_a_detector_restore_their_faces(photo_server: Server) -> None:
    graph = BoxGraph()
    model, image = graph.load_model(), graph.image("two.png")
    detected = graph.detect_in_boxes(image, graph.create_boxes(HEADS), select="1")
    restored = graph.sampler(model[0], model[1], detected[1], steps=2, faces=detected[0])
    after, preview = fetch_pictures(photo_server, graph, graph.paste(image, detected[0], restored[0])[0], detected[2])
    before = photo([2, -2])
    assert [face_change(before, after[0], i) > 5 for i in range(2)] == [False, True]
    assert (after[0][:, :200] == before[:, :200]).all(), "outside the box every pixel stays the same"
    x, y = HEADS[0]["x"], HEADS[0]["y"]
    assert (preview[0][y : y + 3, x : x + 50] != before[y : y + 3, x : x + 50]).any(), "the box is drawn"


def host_boxes(graph: BoxGraph, kind: str, image: Link) -> tuple[Link, list[Box]]:
    """Add one of the host's nodes that output boxes for two pictures. Return its output and the expected boxes."""
    scored = [{**box, "score": score, "class": 0} for box, score in zip(HEADS, (0.75, 0.875), strict=True)]
    if kind == "PrimitiveBoundingBox":
        return graph.add(kind, **HEADS[0])[0], HEADS[:1]
    if kind == "CreateBoundingBoxes":
        return graph.create_boxes(HEADS), HEADS
    if kind == "SAM3_Detect":
        return graph.sam3(image, scored[:1]), HEADS[:1]
    if kind == "SDPoseFaceBBoxes":
        return graph.sdpose(HEADS[0], (192, 512), 2), HEADS[:1]
    return graph.mediapipe(image)[1], [MESH_BOX]


@pytest.mark.parametrize(
    "kind",
    ["PrimitiveBoundingBox", "CreateBoundingBoxes", "SAM3_Detect", "SDPoseFaceBBoxes", "MediaPipeFaceLandmarker"],
)
def test_boxes_of_host_nodes_become_faces(host: Path, base: Path, photo_server: Server, kind: str) -> None:
    require_node(photo_server, kind)
    if kind.startswith("MediaPipe"):
        save_mediapipe(host, base / "models" / "detection", (192, 512))
    graph = BoxGraph()
    image = graph.image("two.png", "moved.png")
    bboxes, expected = host_boxes(graph, kind, image)
    detected = graph.detect_in_boxes(image, bboxes)
    boxes = boxes_of(photo_server, graph, detected[3])
    assert rounded_places(boxes) == [[place(box) for box in expected]] * 2
    assert all(box["label"] == "face" for frame in boxes for box in frame)
    (crops,) = fetch_pictures(photo_server, graph, detected[1])
    assert len(crops) == 2 * len(expected)


def test_boxes_of_people_need_a_detector(detector_server: Server) -> None:
    """RT-DETR finds people, not faces. The detector searches for faces inside its boxes."""
    require_node(detector_server, "RTDETR_detect")
    people = [{"x": 0, "y": 0, "width": 250, "height": 190, "score": 0.9, "class": 0}]
    graph = BoxGraph()
    image = graph.image("two.png")
    bboxes = graph.rtdetr(image, people)
    without_detector = graph.detect_in_boxes(image, bboxes)
    graph.save(without_detector[1])
    with pytest.raises(PromptError, match='labeled "person"'):
        detector_server.run(graph.api)
    graph = BoxGraph()
    image, detector = graph.image("two.png"), graph.detector()
    in_boxes = graph.detect_in_boxes(image, graph.rtdetr(image, people), detector)
    in_picture = graph.detect(image, detector, select="0")
    (crop,), (expected,) = fetch_pictures(detector_server, graph, in_boxes[1], in_picture[1])
    assert (crop == expected).all(), "only the face of this person, as the detector finds it"


def test_detector_places_landmarks_inside_the_box(detector_server: Server) -> None:
    graph = BoxGraph()
    image, detector = graph.image("two.png"), graph.detector()
    with_detector = graph.detect_in_boxes(image, graph.create_boxes([HEADS[1]]), detector)
    without_detector = graph.detect_in_boxes(image, graph.create_boxes([HEADS[1]]))
    in_picture = graph.detect(image, detector, select="1")
    (refined,), (average,), (expected,) = fetch_pictures(
        detector_server, graph, with_detector[1], without_detector[1], in_picture[1]
    )
    assert (refined == expected).all()
    assert (average != expected).any()
    boxes = boxes_of(detector_server, graph, with_detector[3])
    assert rounded_places(boxes) == [[place(HEADS[1])]], "the output box is the input box"


def test_box_without_a_detected_face_still_becomes_a_face(detector_server: Server) -> None:
    graph = BoxGraph()
    image = graph.image("nobody.png")
    with_detector = graph.detect_in_boxes(image, graph.create_boxes(HEADS[:1]), graph.detector())
    without_detector = graph.detect_in_boxes(image, graph.create_boxes(HEADS[:1]))
    (refined,), (average,) = fetch_pictures(detector_server, graph, with_detector[1], without_detector[1])
    assert (refined == average).all()


def test_output_boxes_can_be_drawn_by_the_host_and_read_back(detector_server: Server) -> None:
    graph = BoxGraph()
    image = graph.image("two.png", "nobody.png")
    detected = graph.detect(image, select="1")
    repeated = graph.detect_in_boxes(image, detected[3])
    boxes = boxes_of(detector_server, graph, detected[3])
    assert [len(frame) for frame in boxes] == [1, 0]
    assert boxes_of(detector_server, graph, repeated[3]) == boxes
    require_node(detector_server, "DrawBBoxes")
    drawn = graph.add("DrawBBoxes", image=image, bboxes=detected[3])[0]
    (pictures,) = fetch_pictures(detector_server, graph, drawn)
    left, top = (round(boxes[0][0][key]) for key in ("x", "y"))
    assert (pictures[0][top + 40, left] == (255, 0, 0)).all(), "the host draws red lines"
    assert (pictures[1] == photo([None, None])).all()


def test_each_video_frame_has_its_own_boxes(detector_server: Server) -> None:
    """RT-DETR, SAM3, SDPose and MediaPipe output such boxes: here a face moves, and the last frame has none."""
    graph = BoxGraph()
    frames = graph.image("two.png", "moved.png", "nobody.png")
    detected = graph.detect(frames, select="0")
    tracked = graph.detect_in_boxes(frames, detected[3], video=True)
    boxes = boxes_of(detector_server, graph, tracked[3])
    assert [len(frame) for frame in boxes] == [1, 1, 0]
    assert boxes[1][0]["x"] - boxes[0][0]["x"] == pytest.approx(16, abs=1)
    crops, _ = fetch_pictures(detector_server, graph, tracked[1], tracked[2])
    assert np.abs(crops[0].astype(int) - crops[1]).mean() < 3, "the crop moves with its box"


def test_boxes_of_other_pictures_are_refused(detector_server: Server) -> None:
    graph = BoxGraph()
    detected = graph.detect(graph.image("two.png", "moved.png", "nobody.png"), select="0")
    graph.save(graph.detect_in_boxes(graph.image("two.png", "moved.png"), detected[3])[1])
    with pytest.raises(PromptError, match="boxes of 3 pictures for 2 pictures"):
        detector_server.run(graph.api)
    graph = BoxGraph()
    distant_box = graph.create_boxes([{"x": 600, "y": 500, "width": 90, "height": 100}], (1024, 1024))
    graph.save(graph.detect_in_boxes(graph.image("two.png"), distant_box)[1])
    with pytest.raises(PromptError, match="outside that picture of 512x192 pixels"):
        detector_server.run(graph.api)


def test_canvas_without_boxes_gives_no_face(photo_server: Server) -> None:
    graph = BoxGraph()
    graph.save(graph.detect_in_boxes(graph.image("two.png"), graph.create_boxes([]))[2])
    with pytest.raises(PromptError, match="No face was found"):
        photo_server.run(graph.api)
    graph = BoxGraph()
    ((preview,),) = fetch_pictures(
        photo_server, graph, graph.detect_in_boxes(graph.image("two.png"), graph.create_boxes([]), when_empty="pass")[2]
    )
    assert np.abs(preview.astype(int) - photo([2, -2])).max() <= 1, "nothing is drawn"


def test_host_mediapipe_landmarks_equal_typed_landmarks(host: Path, base: Path, photo_server: Server) -> None:
    require_node(photo_server, "MediaPipeFaceLandmarker")
    save_mediapipe(host, base / "models" / "detection", (192, 512))
    graph = BoxGraph()
    image = graph.image("two.png")
    typed = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=TEXT, crop_size=128)
    landmarks, _ = graph.mediapipe(image)
    meshed = graph.add("ReFLDM_FacesFromLandmarks", image=image, text="", crop_size=128, face_landmarks=landmarks)
    (typed_crop,), (mesh_crop,) = fetch_pictures(photo_server, graph, typed[1], meshed[1])
    assert np.abs(typed_crop.astype(int) - mesh_crop).max() <= 1
    # Landmarks of a picture of another size do not fit this picture.
    smaller = graph.add("ImageScale", image=image, upscale_method="area", width=256, height=96, crop="disabled")[0]
    mismatched = graph.add("ReFLDM_FacesFromLandmarks", image=smaller, text="", crop_size=128, face_landmarks=landmarks)
    graph.save(mismatched[1])
    with pytest.raises(PromptError, match="1 pictures of 512x192 pixels for 1 pictures of 256x96 pixels"):
        photo_server.run(graph.api)
