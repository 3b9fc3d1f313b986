"""Draw the small pictures beside the shipped workflows: before and after of a real run.

    python -m tests.web.thumbnails [NAME ...]

It needs a ComfyUI (see tests/host/comfy.py). NAME is the beginning of a workflow's file name, such as 04. The pictures
show the rendered people of `refldm demo` and the embedded models. Workflow 08 is run with the embedded face detector in
place of MediaPipe, whose weight file this project does not have.
"""

from __future__ import annotations

import argparse
import copy
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.host.comfy import Api, Server
from tests.host.test_workflows import api_of

from .browser import WORKFLOWS
from .save_workflows import workflow_server

Picture = NDArray[np.uint8]

WIDTH = 400
MOST_BYTES = 40_000

_GAP = 4  # pixels between before and after
_WIDE = 1.4  # wider pictures stand one above the other
_CHANGED = 12  # gray levels from which a pixel counts as changed
_MARGIN = 1.25  # side of the shown square, in sides of what has changed
_MOST = 0.8  # larger squares show the whole picture, in its longer sides
_PHOTOS = ("photo.png", "face.png", "group.png", "anna_1.png")
"""Pictures that workflows restore, the last one only where there is none of the others."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of file names; all without")
    names = tuple(parser.parse_args(arguments).names)
    with workflow_server() as server:
        for path in WORKFLOWS:
            if not names or path.name.startswith(names):
                path.with_suffix(".jpg").write_bytes(_jpeg(*_run(server, _with_embedded(api_of(path)))))
                print(path.with_suffix(".jpg").name, flush=True)


def _run(server: Server, api: Api) -> tuple[Picture, Picture]:
    """Run a workflow: the picture that it restores, before and after."""
    outputs = server.run(_with_people(server, api))
    for number, node in api.items():
        if node["class_type"] == "SaveVideo":
            name = next(item["inputs"]["file"] for item in api.values() if item["class_type"] == "LoadVideo")
            saved = outputs[number]["images"][0]
            after = server.base / "output" / saved["subfolder"] / saved["filename"]
            return _first_frame(server.base / "input" / name), _first_frame(after)
    end = next(number for number, node in api.items() if node["class_type"] == "SaveImage")
    images = {node["inputs"]["image"] for node in api.values() if node["class_type"] == "LoadImage"}
    before = next(name for name in _PHOTOS if name in images)
    with Image.open(server.base / "input" / before) as picture:
        return np.asarray(picture.convert("RGB")), server.picture(outputs[end]["images"][0])


def _with_people(server: Server, api: Api) -> Api:
    """Save the people first that a workflow loads."""
    saving = [number for number, node in api.items() if node["class_type"] == "ReFLDM_SaveReferences"]
    if not saving:
        return api
    needed, waiting = set[str](), list(saving)
    while waiting:
        needed.add(waiting[-1])
        values = api[waiting.pop()]["inputs"].values()
        waiting += [value[0] for value in values if isinstance(value, list) and value[0] not in needed]
    first = {number: node for number, node in copy.deepcopy(api).items() if number in needed}
    first[saving[0]]["inputs"]["overwrite"] = True
    server.run(first)
    return {number: node for number, node in api.items() if number not in saving}


def _with_embedded(api: Api) -> Api:
    """Return the graph with the embedded detector in place of MediaPipe's."""
    api = copy.deepcopy(api)
    for number, node in list(api.items()):
        if node["class_type"] == "ReFLDM_LoadModel":
            node["inputs"]["checkpoint"] = "embedded"
        elif node["class_type"] == "ReFLDM_FacesFromLandmarks":
            detect = {"select": "all", "order": "largest", "count": 1, "threshold": 0.0, "min_size": 0, "smallest": 0}
            detect |= {"rotated": True, "when_empty": "error", "video": False, "smoothing": 0.0, "crop_size": 512}
            links = {"image": node["inputs"]["image"], "face_detector": ["detector", 0]}
            api[number] = {"class_type": "ReFLDM_DetectFaces", "inputs": {**detect, **links}}
            api["detector"] = {"class_type": "ReFLDM_LoadFaceDetector", "inputs": {"backend": "embedded"}}
        elif "MediaPipe" in node["class_type"]:
            del api[number]
    return api


def _first_frame(path: Path) -> Picture:
    was_read, picture = cv2.VideoCapture(str(path)).read()
    assert was_read, path
    return np.asarray(picture[..., ::-1], dtype=np.uint8)


def _around_the_change(before: Picture, after: Picture) -> tuple[Picture, Picture]:
    """Return the square around what the workflow has changed, or both pictures where that is most of them."""
    height, width = after.shape[:2]
    enlarged = np.asarray(Image.fromarray(before).resize((width, height), Image.Resampling.BICUBIC))
    changed = np.abs(enlarged.astype(int) - after).max(axis=-1) > _CHANGED
    rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return before, after
    side = round(_MARGIN * max(np.ptp(rows), np.ptp(columns)))
    if side > _MOST * max(height, width):
        return before, after
    side = min(side, height, width)
    top = int(np.clip((rows[0] + rows[-1] - side) // 2, 0, height - side))
    left = int(np.clip((columns[0] + columns[-1] - side) // 2, 0, width - side))
    part = np.s_[top : top + side, left : left + side]
    return enlarged[part], after[part]


def _jpeg(before: Picture, after: Picture) -> bytes:
    """Draw both beside each other, or one above the other where they are wide, in a file of few bytes."""
    before, after = _around_the_change(before, after)
    stacked = after.shape[1] > _WIDE * after.shape[0]
    width = WIDTH if stacked else (WIDTH - _GAP) // 2
    height = round(width * after.shape[0] / after.shape[1])
    size = (width, 2 * height + _GAP) if stacked else (WIDTH, height)
    sheet = Image.new("RGB", size, "white")
    for i, picture in enumerate((before, after)):
        corner = (0, i * (height + _GAP)) if stacked else (i * (width + _GAP), 0)
        sheet.paste(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS), corner)
    for quality in (92, 85, 75, 60):
        content = io.BytesIO()
        sheet.save(content, "JPEG", quality=quality, optimize=True)
        if content.tell() < MOST_BYTES:
            break
    return content.getvalue()


if __name__ == "__main__":
    main()
