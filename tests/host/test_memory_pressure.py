"""Networks that run out of memory in a host: batches are split, or an error names a remedy. The next prompt works."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .comfy import PromptError, Server
from .faces import FaceGraph, save_parser, save_retinaface
from .graphs import REFERENCES, Graph, conditioned_graph
from .oracle import assert_same

FACES = ("face.png", "reference_1.png")


@contextmanager
def full_memory(server: Server, stage: str, *, room: int, call: int = 1) -> Generator[dict[str, int], None, None]:
    """Let a stage fail for batches larger than `room`. The result tells how often it was called, and how often failed.

    The host forgets all outputs before, so that every node runs.
    """
    server.free()
    server.get(f"/refldm_probe/full?stage={stage}&room={room}&call={call}")
    counts: dict[str, int] = {}
    try:
        yield counts
    finally:
        counts |= server.get("/refldm_probe/full")


def two_faces() -> Graph:
    """Return a graph in which ReF-LDM Sampler restores two faces with three references."""
    graph = Graph()
    model = graph.load_model()
    references = graph.encode(model[0], model[1], *REFERENCES, encoding="separate")
    graph.save(graph.sampler(model[0], model[1], graph.image(*FACES), references, steps=2)[0])
    return graph


def two_faces_with_stock_nodes() -> Graph:
    graph, model, vae, _, conditioning = conditioned_graph(FACES)
    graph.decode(graph.ksampler(model, conditioning, steps=3), vae)
    return graph


@pytest.mark.parametrize(
    ("stage", "room", "call", "calls", "failures", "warning"),
    [
        # Three references are encoded one by one, then the two faces, then a picture that gives previews their colors.
        ("encode", 1, 1, 7, 1, "encode 2 pictures at once"),
        ("references", 1, 1, 6, 2, "encode 3 references at once"),  # 3, 2, 1, 1, 1; then the null reference
        ("step", 2, 1, 5, 1, "make 4 predictions of a sampling step at once"),  # 4, 2, 2; then 2, 2
        ("step", 1, 2, 7, 2, "make 4 predictions of a sampling step at once"),  # 4; then 4, 2, 1, 1, 1, 1
        ("decode", 1, 1, 3, 1, "decode 2 pictures at once"),
    ],
)
def test_full_stage_is_split_and_gives_the_same_pictures(  # noqa: PLR0917  # one row of the table
    server: Server, stage: str, room: int, call: int, calls: int, failures: int, warning: str
) -> None:
    expected = server.pictures(two_faces().api)
    before = len(server.log)
    with full_memory(server, stage, room=room, call=call) as counts:
        pictures = server.pictures(two_faces().api)
    assert counts == {"calls": calls, "failures": failures}
    for picture, right in zip(pictures, expected, strict=True):
        assert_same(picture, right)
    log = server.log[before:]
    assert log.count("ReF-LDM: The memory was not enough to") == 1 and f"not enough to {warning}" in log


def test_stock_ksampler_splits_the_batch_too(server: Server) -> None:
    expected = server.pictures(two_faces_with_stock_nodes().api)
    with full_memory(server, "step", room=1) as counts:
        pictures = server.pictures(two_faces_with_stock_nodes().api)
    assert counts == {"calls": 14, "failures": 2}  # 4, 2, 1, 1, 1, 1; then four calls in each of two steps
    for picture, right in zip(pictures, expected, strict=True):
        assert_same(picture, right)


@pytest.mark.parametrize(
    ("stage", "graph", "message"),
    [
        ("encode", two_faces, "ReFLDM_EncodeReferences: The memory was not enough to encode one picture"),
        ("references", two_faces, "ReFLDM_EncodeReferences: The memory was not enough to encode one reference"),
        ("step", two_faces, "ReFLDM_Sampler: The memory was not enough to make one prediction"),
        ("step", two_faces_with_stock_nodes, "KSampler: The memory was not enough to make one prediction"),
        ("decode", two_faces, "ReFLDM_Sampler: The memory was not enough to decode one picture, also in tiles"),
        ("decode", two_faces_with_stock_nodes, "VAEDecode: The memory was not enough to decode one picture"),
    ],
)
def test_memory_for_not_even_one_is_an_error_and_the_next_prompt_works(
    server: Server, stage: str, graph: Any, message: str
) -> None:
    expected = server.pictures(graph().api)
    with full_memory(server, stage, room=0), pytest.raises(PromptError) as caught:
        server.run(graph().api)
    assert_clear(str(caught.value), message)
    for picture, right in zip(server.pictures(graph().api), expected, strict=True):
        assert_same(picture, right)


def assert_clear(error: str, message: str) -> None:
    assert error.startswith(message) and "(CUDA out of memory (of the probe).)" in error
    assert "\nExpected: more free memory" in error and "\nRemedy: " in error
    assert "This error means you ran out of memory on your GPU" in error, "the host has unloaded its models"


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("detector", "ReFLDM_DetectFaces: The memory was not enough to find faces in one part of a picture"),
        ("parser", "ReFLDM_PasteFaces: The memory was not enough to mark face and hair in one crop"),
    ],
)
def test_face_networks_without_memory_are_an_error_and_the_next_prompt_works(
    face_server: Server, base: Path, stage: str, message: str
) -> None:
    save_retinaface(base / "models" / "refldm")
    save_parser(base / "models" / "refldm", 17)
    graph = FaceGraph()
    image = graph.image("one.png")
    detected = graph.detect(image, graph.detector("retinaface_mobile0.25"))
    inverted = graph.add("ImageInvert", image=detected[1])
    parser = graph.add("ReFLDM_LoadFaceParser", kind="bisenet")
    graph.save(graph.paste(image, detected[0], inverted[0], face_parser=parser[0])[0])
    expected = face_server.pictures(graph.api)[0]
    with full_memory(face_server, stage, room=0), pytest.raises(PromptError) as caught:
        face_server.run(graph.api)
    assert_clear(str(caught.value), message)
    assert_same(face_server.pictures(graph.api)[0], expected)
