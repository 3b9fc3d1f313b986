"""Restoring without insightface, onnxruntime and facexlib: with ComfyUI's own face detection, and with typed places."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .comfy import Api, PromptError, Server, make_base, running
from .faces import FaceGraph, changed, photo, save
from .graphs import with_files
from .mediapipe import NAME, TEXT, save_mediapipe
from .subgraphs import to_api
from .test_faces import saved
from .test_workflows import WORKFLOWS, api_of, require_nodes

PATH = next(path for path in WORKFLOWS if path.stem.startswith("08"))

BLOCKED = "import sys\nsys.modules.update(dict.fromkeys(('insightface', 'onnxruntime', 'facexlib')))\n"
"""Python runs it when it starts: importing these packages then fails as if they were not there."""


@pytest.fixture(scope="module")
def bare(host: Path, model_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ComfyUI without any face package, with the file of its MediaPipe nodes and the workflow's pictures."""
    folder = tmp_path_factory.mktemp(f"{host.name}-bare")
    (folder / "sitecustomize.py").write_text(BLOCKED, encoding="utf-8")
    base = make_base(folder / "base")
    (base / "models" / "refldm" / "refldm.ckpt").symlink_to(model_files / "tiny.safetensors")
    (base / "models" / "refldm" / "tiny.safetensors").symlink_to(model_files / "tiny.safetensors")
    save(photo([2]), base / "input" / "photo.png")
    for i in (1, 2, 3):
        save(photo([2], background=127 - 8 * i), base / "input" / f"reference_{i}.png")
    if (host / "comfy_extras" / "nodes_mediapipe.py").is_file():
        save_mediapipe(host, base / "models" / "detection", (192, 256))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with running(host, base) as server:
            yield server


def test_the_pack_loads_without_face_packages(bare: Server) -> None:
    assert "IMPORT FAILED" not in bare.log
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("photo.png"))[2])
    with pytest.raises(PromptError, match="insightface"):
        bare.run(graph.api)


def test_typed_landmarks_restore_without_face_packages(bare: Server) -> None:
    graph = FaceGraph()
    model, image = graph.load_model(), graph.image("photo.png")
    known = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=TEXT, crop_size=128)
    restored = graph.sampler(model[0], model[1], known[1], steps=2, faces=known[0])
    ((after,),) = saved(bare, graph, graph.paste(image, known[0], restored[0])[0])
    assert changed(photo([2]), after, 0) > 5


def test_the_workflow_says_which_host_it_needs() -> None:
    notes = [node["widgets_values"][0] for node in workflow()["nodes"] if node["type"] == "MarkdownNote"]
    assert any("ComfyUI 0.23 or newer" in note for note in notes)


def test_the_workflow_uses_no_face_network_of_ours() -> None:
    kinds = {node["class_type"] for node in api_of(PATH).values()}
    assert {"LoadMediaPipeFaceLandmarker", "MediaPipeFaceLandmarker", "ReFLDM_FacesFromLandmarks"} <= kinds
    assert not {kind for kind in kinds if kind.startswith("ReFLDM_LoadFace") or kind == "ReFLDM_SelectReferences"}


def test_workflow_08_restores_the_face(bare: Server) -> None:
    """The host's own MediaPipe nodes run; their file was made for this test, since the published one is not here."""
    require_nodes(bare, PATH)
    api = with_files(to_api(workflow(), bare.get("/object_info")))
    loaders = [node["inputs"] for node in api.values() if node["class_type"] == "LoadMediaPipeFaceLandmarker"]
    assert loaders == [{"model_name": NAME}]
    for node in api.values():
        if node["class_type"] == "ReFLDM_Sampler":
            node["inputs"]["steps"] = 2
    crop, after = bare.pictures(api)
    before = photo([2])
    assert changed(before, after, 0) > 5
    assert (after[:, 216:] == before[:, 216:]).all(), "outside the crop, to the last bit"
    same_crop, same = bare.pictures(with_typed_landmarks(api))
    assert np.abs(crop.astype(int) - same_crop).max() <= 1
    # The mesh is float32, and this random network is touchy: close, not equal.
    assert (np.abs(after.astype(int) - same) <= 8).mean() > 0.9


def with_typed_landmarks(api: Api) -> Api:
    """The same graph with the landmarks as text, without the host's face detection."""
    changed = {number: node for number, node in api.items() if "MediaPipe" not in node["class_type"]}
    for number, node in changed.items():
        if node["class_type"] == "ReFLDM_FacesFromLandmarks":
            inputs = {name: value for name, value in node["inputs"].items() if name != "face_landmarks"}
            changed[number] = {**node, "inputs": {**inputs, "text": TEXT}}
    return changed


def workflow() -> dict:
    return json.loads(PATH.read_text(encoding="utf-8"))
