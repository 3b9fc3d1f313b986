"""Faces that are cut out, restored and pasted back in a running host."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .comfy import Server
from .faces import STEP, FaceGraph, changed, photo, save_parser
from .graphs import saved


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
