"""The shipped workflows with whole photos, run on toy faces."""

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
from .faces import SAME_TOY, SEARCH, changed, photo, require_packages, save, save_networks
from .graphs import with_files

ORDER = [2, -2, 1, 0]
NAMES = {"anna": -2, "ben": 0, "cem": 2}


@pytest.fixture(scope="module")
def faces(host: Path, base: Path, server: Server) -> Iterator[Server]:
    """The server with networks and the pictures that the workflows name."""
    require_packages(host)
    save_networks(base / "models" / "refldm")
    inputs = base / "input"
    before = {path: path.read_bytes() for path in inputs.iterdir() if path.is_file()}
    pictures = {"photo.png": photo(ORDER[:1]), "group.png": photo(ORDER)}
    # The third photo of the person shows somebody else.
    pictures |= {f"reference_{i}.png": photo([2 if i < 3 else -2], background=127 - 8 * i) for i in (1, 2, 3)}
    pictures |= {f"{name}_{i}.png": photo([NAMES[name]], background=127 - 8 * i) for name in NAMES for i in (1, 2)}
    for name, picture in pictures.items():
        save(picture, inputs / name)
    save_video(inputs / "video.mp4", frames())
    yield server
    for path in [path for path in inputs.iterdir() if path.is_file()]:
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def frames() -> list[NDArray[np.uint8]]:
    """A known face that moves, beside a stranger; then nobody."""
    return [photo([2, -2], shift=16 * i) for i in range(3)] + [photo([None, None])]


def save_video(path: Path, pictures: list[NDArray[np.uint8]]) -> None:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (width, height))
    for picture in pictures:
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()


def load_video(path: Path) -> list[NDArray[np.uint8]]:
    reader, found = cv2.VideoCapture(str(path)), []
    while True:
        there, picture = reader.read()
        if not there:
            return found
        found.append(np.asarray(picture[..., ::-1], dtype=np.uint8))


def for_toys(name: str) -> Api:
    """The shipped graph with the search and the likeness that toys need, and few steps."""
    path = next((PACK / "tests" / "workflows").glob(f"{name}*.api.json"))
    return adapted_to_toys(with_files(json.loads(path.read_text(encoding="utf-8"))))


def adapted_to_toys(api: Api) -> Api:
    """The graph itself, with the settings that toy faces need."""
    changes: dict[str, dict[str, Any]] = {
        "ReFLDM_DetectFaces": SEARCH,
        "ReFLDM_SelectReferences": {"threshold": 0.5, "same_person": SAME_TOY},
        "ReFLDM_MatchPeople": {"threshold": SAME_TOY},
        "ReFLDM_Sampler": {"steps": 2},
    }
    for node in api.values():
        node["inputs"].update(changes.get(node["class_type"], {}))
    return api


def run(server: Server, api: Api) -> tuple[NDArray[np.uint8], list[str]]:
    """The saved picture, and the texts shown in the graph."""
    outputs = server.run(api)
    end = next(number for number, node in api.items() if node["class_type"] == "SaveImage")
    shown = [number for number, node in api.items() if node["class_type"] == "PreviewAny"]
    return server.picture(outputs[end]["images"][0]), [outputs[number]["text"][0] for number in shown]


def test_04_a_face_in_a_photo(faces: Server) -> None:
    after, (report,) = run(faces, for_toys("04"))
    before = photo(ORDER[:1])
    assert [line.split()[0] for line in report.splitlines()] == ["kept", "kept", "dropped"] or "copy of" in report
    assert "photo 3: another person" in report
    assert changed(before, after, 0) > 5
    assert (after[:, 216:] == before[:, 216:]).all(), "outside the crop, to the last bit"


def test_05_each_face_its_own_person(faces: Server) -> None:
    after, (report,) = run(faces, for_toys("05"))
    found = [line.rpartition(": ")[2].rpartition(" (")[0] for line in report.splitlines()]
    assert found == ["Cem", "Anna", "nobody", "Ben"]
    before = photo(ORDER)
    assert [changed(before, after, place) > 5 for place in range(4)] == [True, True, False, True]
    assert (after[:, 512 + 20 : 768 - 80] == before[:, 512 + 20 : 768 - 80]).all(), "the stranger, to the last bit"


def test_06_video_frames(faces: Server, base: Path) -> None:
    faces.run(for_toys("06"))
    written = sorted((base / "output" / "refldm").glob("video*"))
    before, after = load_video(base / "input" / "video.mp4"), load_video(written[-1])
    assert len(after) == len(before) == 4

    def change(frame: int, place: int) -> float:
        back = -16 * frame  # to where the face was in the first frame
        return changed(np.roll(before[frame], back, axis=1), np.roll(after[frame], back, axis=1), place)

    assert all(change(frame, 0) > 10 for frame in range(3)), "the person"
    assert all(change(frame, 1) < 5 for frame in range(3)), "the stranger"
    assert change(3, 0) < 5, "nobody is there"
