"""Match People and Face Similarity in a running host, on photos of toy faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.face.detection import DetectionSettings, SearchingDetector
from refldm_core.face.references import ReferenceSettings, select_references
from refldm_core.images import load_image, resize, tensor_to_u8, to_full_tensor
from refldm_core.photos import Person, PhotoRestorer, PhotoSettings
from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import Server
from .faces import PEOPLE, SAME_TOY, FaceGraph, encode_person, face_change, photo
from .graphs import Link, fetch_pictures, fetch_text
from .oracle import assert_same


def add_restored_group(graph: FaceGraph, names: Sequence[str], **settings: Any) -> tuple[Link, Link]:
    """Add nodes that restore the faces of these people in group.png. Return the picture and the report of matches."""
    model, detector, recognizer = graph.load_model(), graph.detector(), graph.recognizer()
    image = graph.image("group.png")
    detected = graph.detect(image, detector)
    people = [encode_person(graph, name, model, detector, recognizer) for name in names]
    matched = graph.add(
        "ReFLDM_MatchPeople",
        image=image,
        faces=detected[0],
        face_recognizer=recognizer,
        names="Anna, Ben" if len(names) > 1 else "",
        threshold=SAME_TOY,
        repeats=False,
        strangers=settings.pop("strangers", "leave"),
        **{f"person_{i}": link for i, link in enumerate(people, start=1)},
    )
    restored = graph.sampler(
        model[0], model[1], matched[1], matched[2], **{"steps": 2, "faces": matched[0], **settings}
    )
    return graph.paste(image, matched[0], restored[0], color_match="wavelet")[0], matched[3]


def test_each_face_gets_its_own_person_as_in_the_core(face_server: Server, base: Path, core: Restorer) -> None:
    graph = FaceGraph()
    image, report = add_restored_group(graph, list(PEOPLE))
    shown_report = graph.add("PreviewAny", source=report)
    end = graph.add("SaveImage", images=image, filename_prefix="faces")
    outputs = face_server.run(graph.api)
    lines = outputs[shown_report.number]["text"][0].splitlines()
    assert [line.rpartition(": ")[2].rpartition(" (")[0] for line in lines] == ["person 3", "Anna", "nobody", "Ben"]
    before, after = photo([2, -2, 1, 0]), face_server.picture(outputs[end.number]["images"][0])
    assert [face_change(before, after, place) > 5 for place in range(4)] == [True, True, False, True]
    assert_same(after, restore_in_core(base, core))


def restore_in_core(base: Path, core: Restorer) -> np.ndarray:
    """Restore group.png as `refldm restore --person ...` does."""
    models, inputs = base / "models" / "refldm", base / "input"
    network, recognizer = load_detector("insightface", models).network, load_recognizer(models / "buffalo_l")
    people: dict[str, Person] = {}
    for name in PEOPLE:
        photos = [(str(i), to_full_tensor(load_image(inputs / f"{name}_{i}.png"))) for i in (1, 2)]
        detector = SearchingDetector(network, DetectionSettings(0.5, 40))
        selected = select_references(photos, detector, recognizer, ReferenceSettings(same_person=SAME_TOY))
        people[name] = Person(core.encode_references(resize(selected.crops, 128)), selected.centroid)
    restorer = PhotoRestorer(
        core,
        SearchingDetector(network, DetectionSettings(0.5, 40, (0,))),
        people,
        recognizer=recognizer,
        settings=PhotoSettings(order="left to right", threshold=SAME_TOY, sampling=SamplingSettings(steps=2)),
    )
    restored = restorer.restore(to_full_tensor(load_image(inputs / "group.png")))
    return tensor_to_u8(restored.image).movedim(0, -1).numpy()


def test_strangers_are_restored_on_request(face_server: Server) -> None:
    graph = FaceGraph()
    ((after,),) = fetch_pictures(face_server, graph, add_restored_group(graph, ["ben"], strangers="restore")[0])
    assert all(face_change(photo([2, -2, 1, 0]), after, place) > 5 for place in range(4))


def test_similarity_separates_same_and_different_people(face_server: Server) -> None:
    similarities = {}
    for name in ("cem_2.png", "anna_1.png"):
        graph = FaceGraph()
        recognizer, detector = graph.recognizer(), graph.detector()
        pair = [graph.detect(graph.image(file), detector, crop_size=256)[1] for file in ("one.png", name)]
        compared = graph.add("ReFLDM_FaceSimilarity", image_a=pair[0], image_b=pair[1], face_recognizer=recognizer)
        graph.save(compared[2])
        similarities[name] = float(fetch_text(face_server, graph, compared[0]))
    assert similarities["cem_2.png"] > SAME_TOY > similarities["anna_1.png"]


def test_similarity_reports_the_change_from_before_to_after(face_server: Server) -> None:
    graph = FaceGraph()
    recognizer, detector = graph.recognizer(), graph.detector()
    truth, another_person = (
        graph.detect(graph.image(name), detector, crop_size=256)[1] for name in ("cem_2.png", "anna_1.png")
    )
    compared = graph.add(
        "ReFLDM_FaceSimilarity", image_a=truth, image_b=truth, before=another_person, face_recognizer=recognizer
    )
    lines = fetch_text(face_server, graph, compared[1]).splitlines()
    before, after = (float(part) for part in lines[0].removeprefix("1: ").split(" (")[0].split(" -> "))
    assert after == 1.0 and before < SAME_TOY
    assert lines[0].endswith(f"({after - before:+.3f})") and lines[1].startswith("mean: ")
    ((plot,),) = fetch_pictures(face_server, graph, compared[2])
    assert plot.shape[1] > 3 * 224, "before, after and the truth"
