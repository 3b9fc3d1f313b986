"""What nodes show besides their results: pictures, faces and people for the page, texts and progress."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .comfy import PromptError, Server
from .faces import SAME_TOY, STEP, FaceGraph, changed, photo
from .graphs import Link, Node, restoring
from .test_faces import PEOPLE, faces, person, saved

__all__ = ["faces"]  # the fixture

PRESET = "Preset balanced: steps 10, cfg 1.5, sampler dpmpp_2m, scheduler trailing."


def _shown(server: Server, graph: FaceGraph, node: Node, end: Link) -> dict[str, Any]:
    """What a node shows when the graph runs up to an output."""
    graph.add("PreviewAny", source=end)
    return server.run(graph.api)[node.number]


def test_detected_faces(faces: Server) -> None:
    graph = FaceGraph()
    found = graph.detect(graph.image("group.png"), select="0, 2-3")
    shown = _shown(faces, graph, found, found[0])
    (marked,) = (faces.picture(picture) for picture in shown["images"])
    (described,) = shown["refldm_faces"]
    plain = faces.picture(described["picture"])
    before = photo([2, -2, 1, 0])
    assert described["size"] == [4 * STEP, 192] and np.abs(plain.astype(int) - before).max() <= 1
    assert marked.shape == before.shape and (marked != plain).any()
    assert [item["index"] for item in described["faces"]] == [0, 1, 2, 3]
    assert [item["selected"] for item in described["faces"]] == [True, False, True, True]
    for i, item in enumerate(described["faces"]):
        left, top, right, bottom = item["box"]
        assert left < 96 + STEP * i < right and top < 96 < bottom
        assert all(left < x < right and top < y < bottom for x, y in item["landmarks"]) and len(item["landmarks"]) == 5
        assert 0.5 < item["confidence"] <= 1.0


def test_many_pictures_are_shown_small(faces: Server) -> None:
    graph = FaceGraph()
    found = graph.detect(graph.add("RepeatImageBatch", image=graph.image("group.png"), amount=70)[0], select="1")
    shown = _shown(faces, graph, found, found[0])
    assert len(shown["images"]) == len(shown["refldm_faces"]) == 64, "not all of a video"
    last = shown["refldm_faces"][-1]
    assert faces.picture(last["picture"]).shape == faces.picture(shown["images"][-1]).shape == (96, 512, 3)
    assert last["size"] == [4 * STEP, 192] and last["faces"][3]["box"][0] > 3 * STEP, "in pixels of the whole picture"


def test_a_box_by_hand_adds_a_face(faces: Server) -> None:
    graph = FaceGraph()
    found = graph.detect(graph.image("frame_3.png"), added_boxes="0: 60,40,100,120", select="0")
    (crops,) = saved(faces, graph, found[1])
    assert len(crops) == 1
    shown = _shown(faces, graph, found, found[0])["refldm_faces"][0]["faces"]
    assert [item["selected"] for item in shown] == [True, False]
    assert shown[0]["box"] == [60, 40, 160, 160] and shown[0]["confidence"] == 1.0
    for text, says in (("60,40,100,120", "is not a box of a face"), ("1: 60,40,100,120", "no picture number 1")):
        graph = FaceGraph()
        graph.save(graph.detect(graph.image("frame_3.png"), added_boxes=text)[2])
        with pytest.raises(PromptError, match=says):
            faces.run(graph.api)


def _matched(graph: FaceGraph, assignments: str) -> tuple[Node, Link]:
    model, detector, recognizer = graph.load_model(), graph.detector(), graph.recognizer()
    image = graph.image("group.png")
    people = [person(graph, name, model, detector, recognizer) for name in PEOPLE]
    matched = graph.add(
        "ReFLDM_MatchPeople",
        image=image,
        faces=graph.detect(image, detector)[0],
        face_recognizer=recognizer,
        names="Anna, Ben",
        threshold=SAME_TOY,
        repeats=False,
        strangers="leave",
        assignments=assignments,
        **{f"person_{i}": link for i, link in enumerate(people, start=1)},
    )
    return matched, matched[3]


def test_matches_and_assignments(faces: Server) -> None:
    found = {}
    for text in ("", "0: nobody, 2: anna"):
        graph = FaceGraph()
        matched, report = _matched(graph, text)
        shown = _shown(faces, graph, matched, report)
        (found[text],) = shown["refldm_matches"]
        assert shown["images"] and all(faces.picture(picture).shape[1] == 2 * 232 + 8 for picture in shown["images"])
    automatic, by_hand = found.values()
    recognized = ["person 3", "Anna", None, "Ben"]
    assert [item["person"] for item in automatic["faces"]] == recognized
    # Anna is in the picture once: the face that looks like her is nobody now.
    assert [item["person"] for item in by_hand["faces"]] == [None, None, "Anna", "Ben"]
    for matches in (automatic, by_hand):
        assert [item["recognized"] for item in matches["faces"]] == recognized
        assert [item["index"] for item in matches["faces"]] == [0, 1, 2, 3]
        assert [entry["name"] for entry in matches["people"]] == ["Anna", "Ben", "person 3"]
        assert faces.picture(matches["people"][0]["thumbnail"]).shape == (128, 128, 3)
        assert faces.picture(matches["faces"][0]["thumbnail"]).shape == (128, 128, 3)
        assert np.array(matches["similarities"]).shape == (4, 3)
    assert by_hand["faces"][2]["similarity"] == by_hand["similarities"][2][0]
    assert automatic["faces"][0]["similarity"] == max(automatic["similarities"][0]) > SAME_TOY


@pytest.mark.parametrize(
    ("text", "says"),
    [("Anna", "does not say who a face is"), ("0: Dora", "not among the people"), ("7: Anna", "no face number 7")],
)
def test_assignments_without_meaning(faces: Server, text: str, says: str) -> None:
    graph = FaceGraph()
    graph.add("PreviewAny", source=_matched(graph, text)[1])
    with pytest.raises(PromptError, match=says):
        faces.run(graph.api)


def test_nobody_is_shown_where_nobody_is(faces: Server) -> None:
    graph = FaceGraph()
    model, detector, recognizer = graph.load_model(), graph.detector(), graph.recognizer()
    image = graph.image("empty.png")
    found = graph.detect(image, detector, when_empty="pass")
    matched = graph.add(
        "ReFLDM_MatchPeople",
        image=image,
        faces=found[0],
        face_recognizer=recognizer,
        person_1=person(graph, "anna", model, detector, recognizer),
        names="",
        threshold=SAME_TOY,
        repeats=False,
        strangers="leave",
    )
    restored = graph.sampler(model[0], model[1], matched[1], matched[2], steps=1, faces=matched[0])
    graph.save(graph.paste(image, matched[0], restored[0])[0])
    outputs = faces.run(graph.api)
    assert outputs[found.number]["refldm_faces"][0]["faces"] == []
    (matches,) = outputs[matched.number]["refldm_matches"]
    assert matches["faces"] == matches["similarities"] == outputs[matched.number]["images"] == []
    assert outputs[restored.number]["images"] == []
    assert len(outputs[restored.number]["text"]) == 0
    assert len(outputs[found.number]["images"]) == 1


def test_references_kept_and_dropped(faces: Server) -> None:
    graph = FaceGraph()
    photos = [graph.image(name) for name in ("cem_1.png", "anna_1.png", "cem_2.png", "empty.png")]
    chosen = graph.select(*photos, detector=graph.detector(), recognizer=graph.recognizer())
    faces.probe()
    (sheet,) = (faces.picture(picture) for picture in _shown(faces, graph, chosen, chosen[1])["images"])
    told = faces.probe()
    assert sheet.shape[1] == 4 * 232 + 8
    frames = [sheet[8, 8 + 232 * place + 100] for place in range(4)]
    assert [int(frame[1]) > int(frame[0]) + 100 for frame in frames] == [True, False, False, False] or [
        int(frame[1]) > int(frame[0]) + 100 for frame in frames
    ] == [True, True, False, False], "the kept ones come first"
    assert told["progress"] >= 5 and told["progress_pictures"] >= 1, "it does not look frozen"


def test_restored_and_pasted_pictures(faces: Server) -> None:
    graph = FaceGraph()
    model, image = graph.load_model(), graph.image("one.png")
    found = graph.detect(image)
    restored = graph.sampler(model[0], model[1], found[1], faces=found[0], steps=3, cfg=7.0, preset="balanced")
    pasted = graph.paste(image, found[0], restored[0])
    compared = graph.add(
        "ReFLDM_FaceSimilarity", image_a=found[1], image_b=found[1], face_recognizer=graph.recognizer()
    )
    graph.add("PreviewAny", source=compared[1])
    ends = [graph.add("SaveImage", images=link, filename_prefix="shown") for link in (restored[0], pasted[0])]
    outputs = faces.run(graph.api)
    results = [faces.picture(outputs[end.number]["images"][0]).astype(int) for end in ends]
    crop = faces.picture(outputs[restored.number]["images"][0])
    assert np.abs(crop - results[0]).max() <= 1
    assert outputs[restored.number]["text"][0].startswith(PRESET)
    shown = outputs[pasted.number]
    (before,), (after,) = (
        [faces.picture(picture) for picture in shown[key]] for key in ("refldm_before", "refldm_after")
    )
    assert [faces.picture(picture).tolist() for picture in shown["images"]] == [after.tolist(), before.tolist()]
    assert np.abs(after - results[1]).max() <= 1 and np.abs(before - photo([2]).astype(int)).max() <= 1
    assert changed(before, after, 0) > 5
    assert faces.picture(outputs[compared.number]["images"][0]).shape[1] == 2 * 232 + 8


def test_encoding_references_shows_them_and_its_progress(server: Server) -> None:
    graph = restoring(steps=1)
    encode = next(number for number, node in graph.api.items() if node["class_type"] == "ReFLDM_EncodeReferences")
    graph.api[encode]["inputs"]["encoding"] = "separate"
    server.probe()
    outputs = server.run(graph.api)
    told = server.probe()
    assert len(outputs[encode]["images"]) == 3
    assert told["progress"] >= 4 and told["progress_pictures"] >= 1
    assert "text" in outputs[next(n for n, node in graph.api.items() if node["class_type"] == "ReFLDM_Sampler")]
