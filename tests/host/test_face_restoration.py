"""Cut out, restore and paste back faces in a running host, on photos of toy faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .comfy import Server
from .faces import FACE_SPACING, FaceGraph, face_change, photo, save_parser
from .graphs import fetch_pictures


def test_only_selected_faces_change(face_server: Server) -> None:
    graph = FaceGraph()
    model = graph.load_model()
    image = graph.image("group.png")
    detected = graph.detect(image, select="0, 2-3")
    restored = graph.sampler(model[0], model[1], detected[1], steps=2, faces=detected[0])
    pasted = graph.paste(image, detected[0], restored[0])
    # The mask itself would lose its faint edge: saved in 8 bits, it becomes 0.
    touched = graph.add("ThresholdMask", mask=pasted[1], value=0.0)
    mask = graph.add("MaskToImage", mask=touched[0])
    (after,), (preview,), crops, (white,) = fetch_pictures(
        face_server, graph, pasted[0], detected[2], detected[1], mask[0]
    )
    before = photo([2, -2, 1, 0])
    assert [face_change(before, after, place) > 5 for place in range(4)] == [True, False, True, True]
    outside = white.max(axis=2) == 0
    assert 0.2 < outside.mean() < 0.95
    assert (after[outside] == before[outside]).all(), "outside the mask every pixel stays the same"
    assert (after[:, FACE_SPACING : 2 * FACE_SPACING - 80] == before[:, FACE_SPACING : 2 * FACE_SPACING - 80]).all(), (
        "the face that was not selected"
    )
    assert [crop.shape for crop in crops] == [(128, 128, 3)] * 3
    assert preview.shape == before.shape
    assert (preview != before).any(axis=2).mean() > 0.01


def test_unchanged_crops_leave_the_photo_unchanged(face_server: Server) -> None:
    graph = FaceGraph()
    image = graph.image("group.png")
    detected = graph.detect(image, crop_size=512)
    pasted = graph.paste(image, detected[0], detected[1])
    ((after,),) = fetch_pictures(face_server, graph, pasted[0])
    assert np.abs(after.astype(int) - photo([2, -2, 1, 0])).max() <= 1


def test_tracked_faces_keep_their_noise_in_a_video(face_server: Server) -> None:
    graph = FaceGraph()
    model = graph.load_model()
    frames = graph.image("frame_1.png", "frame_2.png", "frame_3.png")
    detected = graph.detect(frames, video=True, order="left to right")
    restored = graph.sampler(model[0], model[1], detected[1], steps=2, faces=detected[0])
    after, crops = fetch_pictures(face_server, graph, graph.paste(frames, detected[0], restored[0])[0], restored[0])
    assert len(after) == 3
    for crop, earlier_crop in ((2, 0), (3, 1), (4, 1)):
        difference = np.abs(crops[crop].astype(int) - crops[earlier_crop])
        assert difference.max() <= 3, "a face keeps its noise, even if it is the only one left"
    assert np.abs(crops[0].astype(int) - crops[1]).mean() > 5


def test_face_parser_limits_pasting(face_server: Server, base: Path) -> None:
    hair, background = 17, 0
    for label, is_pasted in ((background, False), (hair, True)):
        save_parser(base / "models" / "refldm", label)
        graph = FaceGraph()
        image = graph.image("one.png")
        detected = graph.detect(image)
        parser = graph.add("ReFLDM_LoadFaceParser", kind="bisenet")
        inverted = graph.add("ImageInvert", image=detected[1])
        pasted = graph.paste(image, detected[0], inverted[0], face_parser=parser[0])
        ((after,),) = fetch_pictures(face_server, graph, pasted[0])
        assert (face_change(photo([2]), after, 0) > 5) == is_pasted


def test_mask_limits_pasting(face_server: Server) -> None:
    graph = FaceGraph()
    image = graph.image("one.png")
    detected = graph.detect(image)
    inverted = graph.add("ImageInvert", image=detected[1])
    black = graph.add("SolidMask", value=0.0, width=256, height=192)
    white = graph.add("SolidMask", value=1.0, width=96, height=192)
    left = graph.add("MaskComposite", destination=black[0], source=white[0], x=0, y=0, operation="add")
    ((after,),) = fetch_pictures(face_server, graph, graph.paste(image, detected[0], inverted[0], mask=left[0])[0])
    before = photo([2])
    assert (after[:, 96:] == before[:, 96:]).all()
    assert (after[72:120, 60:90] != before[72:120, 60:90]).mean() > 0.9


def test_batch_too_large_for_the_device_is_restored_in_parts(face_server: Server) -> None:
    graph = FaceGraph()
    model = graph.load_model()
    detected = graph.detect(graph.image("group.png"))
    graph.save(graph.sampler(model[0], model[1], detected[1], steps=2, faces=detected[0])[0])
    face_server.probe()
    one_batch = face_server.pictures(graph.api)
    assert face_server.probe()["unet"] == 2
    face_server.free()
    face_server.get("/refldm_probe?memory=1")
    try:
        parts = face_server.pictures(graph.api)
    finally:
        counts = face_server.get("/refldm_probe?memory=0")
    assert counts["unet"] == 8
    assert len(parts) == len(one_batch) == 4
    for part, expected in zip(parts, one_batch, strict=True):
        assert np.abs(part.astype(int) - expected).max() <= 2
