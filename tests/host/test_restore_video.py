"""Restore Video in a running host: a video goes through in one node, from file to file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from refldm_core.video.reading import read_frames
from tests.video.clips import sound_packets

from .comfy import PromptError, Server
from .faces import FaceGraph, encode_person, face_change, photo
from .graphs import Link, Node

FRAMES = 6
RATE = 12


@pytest.fixture(scope="module", autouse=True)
def clip(base: Path, face_server: Server) -> Iterator[Path]:
    """Write a clip with sound in which a saved person stands beside a stranger, and nobody is in its last frame.

    To the toy recognizer the stranger looks like the person too, but less. One person is in a frame only once.
    """
    path = base / "input" / "clip.mp4"
    pictures = [photo([2, -2])] * (FRAMES - 1) + [photo([None, None])]
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=RATE, options={"crf": "5"})
        video.height, video.width, video.pix_fmt = *pictures[0].shape[:2], "yuv444p"
        sound = output.add_stream("aac", rate=48_000)
        sound.layout = "mono"
        for number, picture in enumerate(pictures):
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            samples = np.arange(number * 4000, (number + 1) * 4000)
            wave = (8000 * np.sin(samples * 0.03)).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, number * 4000
            output.mux(sound.encode(frame))
        for stream in (video, sound):
            output.mux(stream.encode())
    yield path
    path.unlink()


def restored(graph: FaceGraph, video: Link, names: tuple[str, ...] = ("cem",), **inputs: Any) -> Node:
    """Add Restore Video with the references of people."""
    model, detector, recognizer = graph.load_model(), graph.detector(), graph.recognizer()
    people = [encode_person(graph, name, model, detector, recognizer) for name in names]
    references = people[0]
    if len(people) > 1:
        sockets = {f"references_{i}": link for i, link in enumerate(people, 1)}
        references = graph.add("ReFLDM_BatchReferences", **sockets)[0]
    values: dict[str, Any] = {
        "seed": 2024,
        "preset": "fast",
        "steadying": 0.5,
        "averaging": 2.0,
        "threshold": 0.5,
        "rotated": False,
        "references": references,
        "face_recognizer": recognizer,
        **inputs,
    }
    values = {name: value for name, value in values.items() if value is not None}
    return graph.add("ReFLDM_RestoreVideo", model=model[0], vae=model[1], face_detector=detector, video=video, **values)


def saved(server: Server, base: Path, graph: FaceGraph, node: Node) -> tuple[Path, str]:
    """Run a graph, and return the file that Save Video writes and the node's report."""
    graph.add("SaveVideo", video=node[0], filename_prefix="restored", format="auto", codec="auto")
    shown = graph.add("PreviewAny", source=node[1])
    outputs = server.run(graph.api)
    return max((base / "output").glob("restored*"), key=lambda path: path.stat().st_mtime_ns), outputs[shown.number][
        "text"
    ][0]


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    return list(read_frames(path))


def temporary_files(base: Path) -> set[str]:
    return {path.name for path in (base / "temp").glob("refldm_*")}


def test_the_person_is_restored_and_the_sound_is_kept(face_server: Server, base: Path, clip: Path) -> None:
    graph = FaceGraph()
    node = restored(graph, graph.add("LoadVideo", file="clip.mp4")[0])
    path, report = saved(face_server, base, graph, node)
    before, after = frames_of(clip), frames_of(path)
    assert len(after) == len(before) == FRAMES
    changes = np.array([[face_change(a, b, place) for place in range(2)] for a, b in zip(before, after, strict=True)])
    assert (changes[:-1, 0] > 10).all(), "the person"
    assert (changes[:-1, 1] < 5).all() and (changes[-1] < 5).all(), "the stranger, and the frame without faces"
    assert sound_packets(path) == sound_packets(clip)
    assert report == f"{FRAMES} frames, {FRAMES - 1} faces restored, 1 different ones. People: person 1."
    assert not [name for name in temporary_files(base) if not name.endswith(".mp4")], "only the result is left"


def test_without_a_recognizer_all_faces_are_the_person(face_server: Server, base: Path, clip: Path) -> None:
    graph = FaceGraph()
    node = restored(graph, graph.add("LoadVideo", file="clip.mp4")[0], face_recognizer=None)
    path, report = saved(face_server, base, graph, node)
    before, after = frames_of(clip), frames_of(path)
    assert all(face_change(before[0], after[0], place) > 5 for place in range(2))
    assert report.startswith(f"{FRAMES} frames, {2 * (FRAMES - 1)} faces restored, 2 different ones.")


def test_a_video_in_memory_is_restored_too(face_server: Server, base: Path) -> None:
    graph = FaceGraph()
    frames = graph.image("frame_1.png", "frame_2.png", "frame_3.png")
    node = restored(graph, graph.add("CreateVideo", images=frames, fps=12.0)[0], face_recognizer=None)
    path, report = saved(face_server, base, graph, node)
    assert len(frames_of(path)) == 3
    assert report.startswith("3 frames, 5 faces restored, 2 different ones.")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"names": ("anna", "ben"), "face_recognizer": None}, "2 people cannot be told apart"),
        ({"names": ("anna",), "threshold": 1.0}, "is one to restore(?s:.*)lower threshold"),
    ],
)
def test_errors_name_the_remedy(face_server: Server, inputs: dict[str, Any], message: str) -> None:
    graph = FaceGraph()
    node = restored(graph, graph.add("LoadVideo", file="clip.mp4")[0], **inputs)
    graph.add("PreviewAny", source=node[1])
    with pytest.raises(PromptError, match=message):
        face_server.run(graph.api)


def test_an_interrupt_ends_the_node_and_leaves_no_file(face_server: Server, base: Path) -> None:
    before = temporary_files(base)
    graph = FaceGraph()
    node = restored(graph, graph.add("LoadVideo", file="clip.mp4")[0], preset="published", seed=7)
    graph.add("PreviewAny", source=node[1])
    prompt_id = face_server.queue(graph.api)
    end = time.monotonic() + 60
    while not temporary_files(base) - before and time.monotonic() < end:
        time.sleep(0.05)
    face_server.post("/interrupt", {"prompt_id": prompt_id})
    entry = face_server.wait(prompt_id)
    assert "execution_interrupted" in [kind for kind, _ in entry["status"]["messages"]]
    assert temporary_files(base) == before
