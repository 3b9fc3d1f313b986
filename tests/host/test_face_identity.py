"""Match People and Face Similarity in a running host."""

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
from .faces import PEOPLE, SAME_TOY, FaceGraph, changed, person, photo
from .graphs import Link, saved, text_of
from .oracle import assert_same


def restored_group(graph: FaceGraph, names: Sequence[str], **settings: Any) -> tuple[Link, Link]:
    """group.png with the faces of these people restored, and the report of who is who."""
    model, detector, recognizer = graph.load_model(), graph.detector(), graph.recognizer()
    image = graph.image("group.png")
    found = graph.detect(image, detector)
    people = [person(graph, name, model, detector, recognizer) for name in names]
    matched = graph.add(
        "ReFLDM_MatchPeople",
        image=image,
        faces=found[0],
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


def test_each_face_gets_its_own_person_as_without_a_host(faces: Server, base: Path, core: Restorer) -> None:
    graph = FaceGraph()
    image, report = restored_group(graph, list(PEOPLE))
    told = graph.add("PreviewAny", source=report)
    end = graph.add("SaveImage", images=image, filename_prefix="faces")
    outputs = faces.run(graph.api)
    lines = outputs[told.number]["text"][0].splitlines()
    assert [line.rpartition(": ")[2].rpartition(" (")[0] for line in lines] == ["person 3", "Anna", "nobody", "Ben"]
    before, after = photo([2, -2, 1, 0]), faces.picture(outputs[end.number]["images"][0])
    assert [changed(before, after, place) > 5 for place in range(4)] == [True, True, False, True]
    assert_same(after, without_host(base, core))


def without_host(base: Path, core: Restorer) -> np.ndarray:
    """What `refldm restore --person ...` makes of group.png."""
    models, inputs = base / "models" / "refldm", base / "input"
    network, recognizer = load_detector("insightface", models).network, load_recognizer(models / "buffalo_l")
    people: dict[str, Person] = {}
    for name in PEOPLE:
        photos = [(str(i), to_full_tensor(load_image(inputs / f"{name}_{i}.png"))) for i in (1, 2)]
        search = SearchingDetector(network, DetectionSettings(0.5, 40))
        chosen = select_references(photos, search, recognizer, ReferenceSettings(same_person=SAME_TOY))
        people[name] = Person(core.encode_references(resize(chosen.crops, 128)), chosen.centroid)
    restorer = PhotoRestorer(
        core,
        SearchingDetector(network, DetectionSettings(0.5, 40, (0,))),
        people,
        recognizer=recognizer,
        settings=PhotoSettings(order="left to right", threshold=SAME_TOY, sampling=SamplingSettings(steps=2)),
    )
    restored = restorer.restore(to_full_tensor(load_image(inputs / "group.png")))
    return tensor_to_u8(restored.image).movedim(0, -1).numpy()


def test_strangers_are_restored_by_choice(faces: Server) -> None:
    graph = FaceGraph()
    ((after,),) = saved(faces, graph, restored_group(graph, ["ben"], strangers="restore")[0])
    assert all(changed(photo([2, -2, 1, 0]), after, place) > 5 for place in range(4))


def test_similarity(faces: Server) -> None:
    values = {}
    for name in ("cem_2.png", "anna_1.png"):
        graph = FaceGraph()
        recognizer, detector = graph.recognizer(), graph.detector()
        pair = [graph.detect(graph.image(one), detector, crop_size=256)[1] for one in ("one.png", name)]
        compared = graph.add("ReFLDM_FaceSimilarity", image_a=pair[0], image_b=pair[1], face_recognizer=recognizer)
        graph.save(compared[2])
        values[name] = float(text_of(faces, graph, compared[0]))
    assert values["cem_2.png"] > SAME_TOY > values["anna_1.png"]


def test_similarity_before_and_after(faces: Server) -> None:
    graph = FaceGraph()
    recognizer, detector = graph.recognizer(), graph.detector()
    truth, other = (graph.detect(graph.image(name), detector, crop_size=256)[1] for name in ("cem_2.png", "anna_1.png"))
    compared = graph.add(
        "ReFLDM_FaceSimilarity", image_a=truth, image_b=truth, before=other, face_recognizer=recognizer
    )
    lines = text_of(faces, graph, compared[1]).splitlines()
    before, after = (float(part) for part in lines[0].removeprefix("1: ").split(" (")[0].split(" -> "))
    assert after == 1.0 and before < SAME_TOY
    assert lines[0].endswith(f"({after - before:+.3f})") and lines[1].startswith("mean: ")
    ((plot,),) = saved(faces, graph, compared[2])
    assert plot.shape[1] > 3 * 224, "before, after and the truth"
