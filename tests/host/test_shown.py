"""What nodes show on the page besides their outputs: pictures, faces, people, texts and progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from .comfy import PromptError, Server
from .faces import FACE_SPACING, PEOPLE, SAME_TOY, FaceGraph, encode_person, face_change, photo
from .graphs import Link, Node, fetch_pictures, restoration_graph

PRESET = "Preset balanced: steps 10, cfg 1.5, sampler dpmpp_2m, scheduler trailing."


def _shown(server: Server, graph: FaceGraph, node: Node, output: Link) -> dict[str, Any]:
    """Run a graph up to an output, and return what a node shows."""
    graph.add("PreviewAny", source=output)
    return server.run(graph.api)[node.number]


def test_detect_faces_shows_boxes_landmarks_and_selection(face_server: Server) -> None:
    graph = FaceGraph()
    detected = graph.detect(graph.image("group.png"), select="0, 2-3")
    shown = _shown(face_server, graph, detected, detected[0])
    (preview,) = (face_server.picture(picture) for picture in shown["images"])
    (entry,) = shown["refldm_faces"]
    plain = face_server.picture(entry["picture"])
    before = photo([2, -2, 1, 0])
    assert entry["size"] == [4 * FACE_SPACING, 192] and np.abs(plain.astype(int) - before).max() <= 1
    assert preview.shape == before.shape and (preview != plain).any()
    assert [item["index"] for item in entry["faces"]] == [0, 1, 2, 3]
    assert [item["selected"] for item in entry["faces"]] == [True, False, True, True]
    for i, item in enumerate(entry["faces"]):
        left, top, right, bottom = item["box"]
        assert left < 96 + FACE_SPACING * i < right and top < 96 < bottom
        assert all(left < x < right and top < y < bottom for x, y in item["landmarks"]) and len(item["landmarks"]) == 5
        assert 0.5 < item["confidence"] <= 1.0


def test_long_batches_are_shown_reduced_and_cut(face_server: Server) -> None:
    graph = FaceGraph()
    detected = graph.detect(graph.add("RepeatImageBatch", image=graph.image("group.png"), amount=70)[0], select="1")
    shown = _shown(face_server, graph, detected, detected[0])
    assert len(shown["images"]) == len(shown["refldm_faces"]) == 64, "only the first pictures of a long video"
    last = shown["refldm_faces"][-1]
    assert face_server.picture(last["picture"]).shape == face_server.picture(shown["images"][-1]).shape == (96, 512, 3)
    assert last["size"] == [4 * FACE_SPACING, 192] and last["faces"][3]["box"][0] > 3 * FACE_SPACING, (
        "in pixels of the full-size picture"
    )


def test_added_box_becomes_a_face(face_server: Server) -> None:
    graph = FaceGraph()
    detected = graph.detect(graph.image("frame_3.png"), added_boxes="0: 60,40,100,120", select="0")
    (crops,) = fetch_pictures(face_server, graph, detected[1])
    assert len(crops) == 1
    shown = _shown(face_server, graph, detected, detected[0])["refldm_faces"][0]["faces"]
    assert [item["selected"] for item in shown] == [True, False]
    assert shown[0]["box"] == [60, 40, 160, 160] and shown[0]["confidence"] == 1.0
    for text, message in (("60,40,100,120", "is not a box of a face"), ("1: 60,40,100,120", "no picture number 1")):
        graph = FaceGraph()
        graph.save(graph.detect(graph.image("frame_3.png"), added_boxes=text)[2])
        with pytest.raises(PromptError, match=message):
            face_server.run(graph.api)


def _add_match_people(
    graph: FaceGraph, assignments: str, pictures: Sequence[str] = ("group.png",), *, video: bool = False
) -> tuple[Node, Link]:
    """Add Match People for pictures with these assignments. Return the node and its report."""
    model, detector, recognizer = graph.load_model(), graph.detector(), graph.recognizer()
    image = graph.image(*pictures)
    people = [encode_person(graph, name, model, detector, recognizer) for name in PEOPLE]
    matched = graph.add(
        "ReFLDM_MatchPeople",
        image=image,
        faces=graph.detect(image, detector, video=video)[0],
        face_recognizer=recognizer,
        names="Anna, Ben",
        threshold=SAME_TOY,
        repeats=False,
        strangers="leave",
        assignments=assignments,
        **{f"person_{i}": link for i, link in enumerate(people, start=1)},
    )
    return matched, matched[3]


def test_assignments_override_recognition(face_server: Server) -> None:
    matches_by_text = {}
    for text in ("", "0: nobody, 2: anna"):
        graph = FaceGraph()
        matched, report = _add_match_people(graph, text)
        shown = _shown(face_server, graph, matched, report)
        (matches_by_text[text],) = shown["refldm_matches"]
        assert shown["images"] and all(
            face_server.picture(picture).shape[1] == 2 * 232 + 8 for picture in shown["images"]
        )
    automatic, assigned = matches_by_text.values()
    recognized = ["person 3", "Anna", None, "Ben"]
    assert [item["person"] for item in automatic["faces"]] == recognized
    # Anna can be in the picture only once, so the face that looks like her becomes nobody.
    assert [item["person"] for item in assigned["faces"]] == [None, None, "Anna", "Ben"]
    for matches in (automatic, assigned):
        assert [item["recognized"] for item in matches["faces"]] == recognized
        assert [item["index"] for item in matches["faces"]] == [0, 1, 2, 3]
        assert [entry["name"] for entry in matches["people"]] == ["Anna", "Ben", "person 3"]
        assert face_server.picture(matches["people"][0]["thumbnail"]).shape == (128, 128, 3)
        assert face_server.picture(matches["faces"][0]["thumbnail"]).shape == (128, 128, 3)
        assert np.array(matches["similarities"]).shape == (4, 3)
    assert assigned["faces"][2]["similarity"] == assigned["similarities"][2][0]
    assert automatic["faces"][0]["similarity"] == max(automatic["similarities"][0]) > SAME_TOY


def test_a_video_shows_each_tracked_face_once(face_server: Server) -> None:
    """Frames 1 and 2 show two faces each, and frame 3 shows one of them. The third frame is repeated."""
    frames = ("frame_1.png", "frame_2.png", "frame_3.png", "frame_3.png")
    for video, shown_faces in ((True, 2), (False, 6)):
        graph = FaceGraph()
        matched, report = _add_match_people(graph, "", frames, video=video)
        (matches,) = _shown(face_server, graph, matched, report)["refldm_matches"]
        assert len(matches["faces"]) == len(matches["similarities"]) == shown_faces
        assert len({(item["picture"], item["index"]) for item in matches["faces"]}) == shown_faces


@pytest.mark.parametrize(
    ("text", "message"),
    [("Anna", "does not say who a face is"), ("0: Dora", "not among the people"), ("7: Anna", "no face number 7")],
)
def test_invalid_assignments_are_refused(face_server: Server, text: str, message: str) -> None:
    graph = FaceGraph()
    graph.add("PreviewAny", source=_add_match_people(graph, text)[1])
    with pytest.raises(PromptError, match=message):
        face_server.run(graph.api)


def test_photo_without_faces_shows_no_faces_and_no_people(face_server: Server) -> None:
    graph = FaceGraph()
    model, detector, recognizer = graph.load_model(), graph.detector(), graph.recognizer()
    image = graph.image("empty.png")
    detected = graph.detect(image, detector, when_empty="pass")
    matched = graph.add(
        "ReFLDM_MatchPeople",
        image=image,
        faces=detected[0],
        face_recognizer=recognizer,
        person_1=encode_person(graph, "anna", model, detector, recognizer),
        names="",
        threshold=SAME_TOY,
        repeats=False,
        strangers="leave",
    )
    restored = graph.sampler(model[0], model[1], matched[1], matched[2], steps=1, faces=matched[0])
    graph.save(graph.paste(image, matched[0], restored[0])[0])
    outputs = face_server.run(graph.api)
    assert outputs[detected.number]["refldm_faces"][0]["faces"] == []
    (matches,) = outputs[matched.number]["refldm_matches"]
    assert matches["faces"] == matches["similarities"] == outputs[matched.number]["images"] == []
    assert outputs[restored.number]["images"] == []
    assert len(outputs[restored.number]["text"]) == 0
    assert len(outputs[detected.number]["images"]) == 1


def test_select_references_shows_kept_photos_first_and_progress(face_server: Server) -> None:
    graph = FaceGraph()
    photos = [graph.image(name) for name in ("cem_1.png", "anna_1.png", "cem_2.png", "empty.png")]
    selected = graph.select(*photos, detector=graph.detector(), recognizer=graph.recognizer())
    face_server.probe()
    (sheet,) = (face_server.picture(picture) for picture in _shown(face_server, graph, selected, selected[1])["images"])
    counts = face_server.probe()
    assert sheet.shape[1] == 4 * 232 + 8
    frames = [sheet[8, 8 + 232 * place + 100] for place in range(4)]
    assert [int(frame[1]) > int(frame[0]) + 100 for frame in frames] == [True, False, False, False] or [
        int(frame[1]) > int(frame[0]) + 100 for frame in frames
    ] == [True, True, False, False], "kept photos come first, with a green frame"
    assert counts["progress"] >= 5, "the page shows progress"
    assert counts["progress_pictures"] == 0, "the page would keep the last preview in place of the sheet"


def test_restored_and_pasted_pictures_are_shown(face_server: Server) -> None:
    graph = FaceGraph()
    model, image = graph.load_model(), graph.image("one.png")
    detected = graph.detect(image)
    restored = graph.sampler(model[0], model[1], detected[1], faces=detected[0], steps=3, cfg=7.0, preset="balanced")
    pasted = graph.paste(image, detected[0], restored[0])
    compared = graph.add(
        "ReFLDM_FaceSimilarity", image_a=detected[1], image_b=detected[1], face_recognizer=graph.recognizer()
    )
    graph.add("PreviewAny", source=compared[1])
    ends = [graph.add("SaveImage", images=link, filename_prefix="shown") for link in (restored[0], pasted[0])]
    outputs = face_server.run(graph.api)
    results = [face_server.picture(outputs[end.number]["images"][0]).astype(int) for end in ends]
    crop = face_server.picture(outputs[restored.number]["images"][0])
    assert np.abs(crop - results[0]).max() <= 1
    assert outputs[restored.number]["text"][0].startswith(PRESET)
    shown = outputs[pasted.number]
    (before,), (after,) = (
        [face_server.picture(picture) for picture in shown[key]] for key in ("refldm_before", "refldm_after")
    )
    assert [face_server.picture(picture).tolist() for picture in shown["images"]] == [after.tolist(), before.tolist()]
    assert np.abs(after - results[1]).max() <= 1 and np.abs(before - photo([2]).astype(int)).max() <= 1
    assert face_change(before, after, 0) > 5
    assert face_server.picture(outputs[compared.number]["images"][0]).shape[1] == 2 * 232 + 8


def test_encode_references_shows_the_photos_and_progress(server: Server) -> None:
    graph = restoration_graph(steps=1)
    encode = next(number for number, node in graph.api.items() if node["class_type"] == "ReFLDM_EncodeReferences")
    graph.api[encode]["inputs"]["encoding"] = "separate"
    server.probe()
    outputs = server.run(graph.api)
    counts = server.probe()
    assert len(outputs[encode]["images"]) == 3
    assert counts["progress"] >= 4
    assert "text" in outputs[next(n for n, node in graph.api.items() if node["class_type"] == "ReFLDM_Sampler")]
