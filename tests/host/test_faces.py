"""The face nodes in a running host: the real classes of insightface and facexlib on files made for these tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refldm_core.checkpoints.faces import load_detector, load_recognizer
from refldm_core.face.detection import DetectionSettings, SearchingDetector
from refldm_core.face.references import ReferenceSettings, select_references
from refldm_core.images import load_image, resize, tensor_to_u8, to_full_tensor
from refldm_core.photos import Person, PhotoRestorer, PhotoSettings
from refldm_core.pipeline import Restorer, SamplingSettings

from .comfy import PromptError, Server
from .faces import (
    SAME_TOY,
    STEP,
    FaceGraph,
    changed,
    photo,
    require_packages,
    save,
    save_networks,
    save_parser,
    save_retinaface,
)
from .graphs import Link
from .oracle import assert_same

PEOPLE = {"anna": -2, "ben": 0, "cem": 2}


@pytest.fixture(scope="module")
def faces(host: Path, base: Path, server: Server) -> Iterator[Server]:
    """The server, with networks and photos."""
    require_packages(host)
    save_networks(base / "models" / "refldm")
    pictures = {
        "group.png": photo([2, -2, 1, 0]),
        "one.png": photo([2]),
        "empty.png": photo([]),
        "frame_1.png": photo([2, 0]),
        "frame_2.png": photo([2, 0], shift=16),
        "frame_3.png": photo([None, 0], shift=32),
    }
    for name, person in PEOPLE.items():
        pictures[f"{name}_1.png"] = photo([person])
        pictures[f"{name}_2.png"] = photo([person], background=110)
    for name, picture in pictures.items():
        save(picture, base / "input" / name)
    yield server
    for name in pictures:
        (base / "input" / name).unlink()


def saved(server: Server, graph: FaceGraph, *images: Link) -> list[list[np.ndarray]]:
    """Run a graph and fetch the pictures of these outputs."""
    ends = [graph.add("SaveImage", images=link, filename_prefix="faces") for link in images]
    outputs = server.run(graph.api)
    return [[server.picture(one) for one in outputs[end.number]["images"]] for end in ends]


def text_of(server: Server, graph: FaceGraph, link: Link) -> str:
    end = graph.add("PreviewAny", source=link)
    return server.run(graph.api)[end.number]["text"][0]


def person(graph: FaceGraph, name: str, model: Any, detector: Link, recognizer: Link) -> Link:
    photos = [graph.image(f"{name}_{i}.png") for i in (1, 2)]
    chosen = graph.select(*photos, detector=detector, recognizer=recognizer)
    return graph.add("ReFLDM_EncodeReferences", model=model[0], vae=model[1], images=chosen[0], encoding="joint")[0]


def test_a_photo_is_changed_inside_the_face_alone(faces: Server) -> None:
    graph = FaceGraph()
    model = graph.load_model()
    image = graph.image("group.png")
    found = graph.detect(image, select="0, 2-3")
    restored = graph.sampler(model[0], model[1], found[1], steps=2, faces=found[0])
    pasted = graph.paste(image, found[0], restored[0])
    # Not the mask itself: saved in 8 bits, its faint edge would be 0.
    touched = graph.add("ThresholdMask", mask=pasted[1], value=0.0)
    mask = graph.add("MaskToImage", mask=touched[0])
    (after,), (preview,), crops, (white,) = saved(faces, graph, pasted[0], found[2], found[1], mask[0])
    before = photo([2, -2, 1, 0])
    assert [changed(before, after, place) > 5 for place in range(4)] == [True, False, True, True]
    outside = white.max(axis=2) == 0
    assert 0.2 < outside.mean() < 0.95
    assert (after[outside] == before[outside]).all(), "to the last bit"
    assert (after[:, STEP : 2 * STEP - 80] == before[:, STEP : 2 * STEP - 80]).all(), "the face that was not chosen"
    assert [crop.shape for crop in crops] == [(128, 128, 3)] * 3
    assert preview.shape == before.shape
    assert (preview != before).any(axis=2).mean() > 0.01


def test_unchanged_crops_leave_the_photo_unchanged(faces: Server) -> None:
    graph = FaceGraph()
    image = graph.image("group.png")
    found = graph.detect(image, crop_size=512)
    pasted = graph.paste(image, found[0], found[1])
    ((after,),) = saved(faces, graph, pasted[0])
    assert np.abs(after.astype(int) - photo([2, -2, 1, 0])).max() <= 1


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
    with pytest.raises(PromptError, match="is not a list of faces"):
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


def test_a_video_keeps_person_and_noise(faces: Server) -> None:
    graph = FaceGraph()
    model = graph.load_model()
    frames = graph.image("frame_1.png", "frame_2.png", "frame_3.png")
    found = graph.detect(frames, video=True, order="left to right")
    restored = graph.sampler(model[0], model[1], found[1], steps=2, faces=found[0])
    after, crops = saved(faces, graph, graph.paste(frames, found[0], restored[0])[0], restored[0])
    assert len(after) == 3
    for frame, seen_before in ((2, 0), (3, 1), (4, 1)):
        difference = np.abs(crops[frame].astype(int) - crops[seen_before])
        assert difference.max() <= 3, "the same face has the same noise, also where it is the only one left"
    assert np.abs(crops[0].astype(int) - crops[1]).mean() > 5


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


def test_retinaface_runs_in_the_memory_manager(faces: Server, base: Path) -> None:
    save_retinaface(base / "models" / "refldm")
    for _ in range(2):
        graph = FaceGraph()
        image = graph.image("group.png")
        found = graph.detect(image, graph.detector("retinaface_mobile0.25"), select="0", order="middle", smallest=100)
        crops, _ = saved(faces, graph, found[1], found[2])
        assert [crop.shape for crop in crops] == [(128, 128, 3)]
        faces.free()


def test_a_parser_limits_pasting(faces: Server, base: Path) -> None:
    hair, background = 17, 0
    for label, changes in ((background, False), (hair, True)):
        save_parser(base / "models" / "refldm", label)
        graph = FaceGraph()
        image = graph.image("one.png")
        found = graph.detect(image)
        parser = graph.add("ReFLDM_LoadFaceParser", kind="bisenet")
        inverted = graph.add("ImageInvert", image=found[1])
        pasted = graph.paste(image, found[0], inverted[0], face_parser=parser[0])
        ((after,),) = saved(faces, graph, pasted[0])
        assert (changed(photo([2]), after, 0) > 5) == changes


def test_a_mask_limits_pasting(faces: Server) -> None:
    graph = FaceGraph()
    image = graph.image("one.png")
    found = graph.detect(image)
    inverted = graph.add("ImageInvert", image=found[1])
    black = graph.add("SolidMask", value=0.0, width=256, height=192)
    white = graph.add("SolidMask", value=1.0, width=96, height=192)
    left = graph.add("MaskComposite", destination=black[0], source=white[0], x=0, y=0, operation="add")
    ((after,),) = saved(faces, graph, graph.paste(image, found[0], inverted[0], mask=left[0])[0])
    before = photo([2])
    assert (after[:, 96:] == before[:, 96:]).all()
    assert (after[72:120, 60:90] != before[72:120, 60:90]).mean() > 0.9


def test_a_batch_too_large_for_the_device_is_restored_in_parts(faces: Server) -> None:
    graph = FaceGraph()
    model = graph.load_model()
    found = graph.detect(graph.image("group.png"))
    graph.save(graph.sampler(model[0], model[1], found[1], steps=2, faces=found[0])[0])
    faces.probe()
    whole = faces.pictures(graph.api)
    assert faces.probe()["unet"] == 2
    faces.free()
    faces.get("/refldm_probe?memory=1")
    try:
        parts = faces.pictures(graph.api)
    finally:
        told = faces.get("/refldm_probe?memory=0")
    assert told["unet"] == 8
    assert len(parts) == len(whole) == 4
    for one, other in zip(parts, whole, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 2
