"""The shipped workflows for whole photos and videos, run on toy faces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from .comfy import PACK, Api, Server
from .faces import PEOPLE, SAME_TOY, TOY_DETECTION, face_change, photo, require_packages, save_networks, save_picture
from .graphs import with_model_files

ORDER = [2, -2, 1, 0]
"""The people in the group photo, from the left."""


@pytest.fixture(scope="module")
def workflow_server(host: Path, base: Path, server: Server) -> Iterator[Server]:
    """The server with toy face networks and the pictures and video that the workflows name."""
    require_packages(host)
    save_networks(base / "models" / "refldm")
    inputs = base / "input"
    before = {path: path.read_bytes() for path in inputs.iterdir() if path.is_file()}
    pictures = {"photo.png": photo(ORDER[:1]), "group.png": photo(ORDER)}
    # The third photo of the person shows somebody else.
    pictures |= {f"reference_{i}.png": photo([2 if i < 3 else -2], background=127 - 8 * i) for i in (1, 2, 3)}
    for name, number in PEOPLE.items():
        pictures |= {f"{name}_{i}.png": photo([number], background=127 - 8 * i) for i in (1, 2)}
    for name, picture in pictures.items():
        save_picture(picture, inputs / name)
    save_video(inputs / "video.mp4", frames())
    yield server
    for path in [path for path in inputs.iterdir() if path.is_file()]:
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def frames() -> list[NDArray[np.uint8]]:
    """Return frames in which a saved person moves beside a stranger, and a last frame without faces."""
    return [photo([2, -2], shift=16 * i) for i in range(3)] + [photo([None, None])]


def save_video(path: Path, pictures: list[NDArray[np.uint8]]) -> None:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (width, height))
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()


def load_video(path: Path) -> list[NDArray[np.uint8]]:
    reader, pictures = cv2.VideoCapture(str(path)), []
    while True:
        success, picture = reader.read()
        if not success:
            return pictures
        pictures.append(np.asarray(picture[..., ::-1], dtype=np.uint8))


def toy_workflow(number: str) -> Api:
    """Return the shipped workflow of this number, with settings for toy faces."""
    path = next((PACK / "tests" / "workflows").glob(f"{number}*.api.json"))
    return adapt_to_toys(with_model_files(json.loads(path.read_text(encoding="utf-8"))))


def adapt_to_toys(api: Api) -> Api:
    """Change the graph in place to the settings that toy faces need and to few steps, and return it."""
    changes: dict[str, dict[str, Any]] = {
        "ReFLDM_DetectFaces": TOY_DETECTION,
        "ReFLDM_SelectReferences": {"threshold": 0.5, "same_person": SAME_TOY},
        "ReFLDM_MatchPeople": {"threshold": SAME_TOY},
        "ReFLDM_Sampler": {"steps": 2},
    }
    for node in api.values():
        node["inputs"].update(changes.get(node["class_type"], {}))
    return api


def run(server: Server, api: Api) -> tuple[NDArray[np.uint8], list[str]]:
    """Run a graph, and return its saved picture and the texts that it shows."""
    outputs = server.run(api)
    end = next(number for number, node in api.items() if node["class_type"] == "SaveImage")
    previews = [number for number, node in api.items() if node["class_type"] == "PreviewAny"]
    return server.picture(outputs[end]["images"][0]), [outputs[number]["text"][0] for number in previews]


def test_04_restores_the_face_in_a_photo(workflow_server: Server) -> None:
    after, (report,) = run(workflow_server, toy_workflow("04"))
    before = photo(ORDER[:1])
    assert [line.split()[0] for line in report.splitlines()] == ["kept", "kept", "dropped"] or "copy of" in report
    assert "photo 3: another person" in report
    assert face_change(before, after, 0) > 5
    assert (after[:, 216:] == before[:, 216:]).all(), "outside the crop every pixel stays the same"


def test_05_restores_each_face_with_its_own_person(workflow_server: Server) -> None:
    after, (report,) = run(workflow_server, toy_workflow("05"))
    people = [line.rpartition(": ")[2].rpartition(" (")[0] for line in report.splitlines()]
    assert people == ["Cem", "Anna", "nobody", "Ben"]
    before = photo(ORDER)
    assert [face_change(before, after, place) > 5 for place in range(4)] == [True, True, False, True]
    stranger = slice(512 + 20, 768 - 80)
    assert (after[:, stranger] == before[:, stranger]).all(), "every pixel of the stranger stays the same"


def test_06_restores_the_person_in_a_video(workflow_server: Server, base: Path) -> None:
    workflow_server.run(toy_workflow("06"))
    videos = sorted((base / "output" / "refldm").glob("video*"))
    before, after = load_video(base / "input" / "video.mp4"), load_video(videos[-1])
    assert len(after) == len(before) == 4

    def change(frame: int, place: int) -> float:
        shift = -16 * frame  # moves the face to its place in the first frame
        return face_change(np.roll(before[frame], shift, axis=1), np.roll(after[frame], shift, axis=1), place)

    assert all(change(frame, 0) > 10 for frame in range(3)), "the person"
    assert all(change(frame, 1) < 5 for frame in range(3)), "the stranger"
    assert change(3, 0) < 5, "nobody is there"
