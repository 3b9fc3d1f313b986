"""Restore faces without insightface, onnxruntime and facexlib, from ComfyUI's MediaPipe or from typed landmarks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from .comfy import Api, PromptError, Server, make_base, running
from .converting import to_api
from .faces import FaceGraph, face_change, photo, save_picture
from .graphs import fetch_pictures, with_model_files
from .mediapipe import NAME, TEXT, save_mediapipe
from .test_workflows import WORKFLOWS, api_of, require_nodes

WORKFLOW = next(path for path in WORKFLOWS if path.stem.startswith("08"))

BLOCKED = "import sys\nsys.modules.update(dict.fromkeys(('insightface', 'onnxruntime', 'facexlib')))\n"
"""Python runs this file when it starts. Then these packages cannot be imported, as if they were not installed."""


@pytest.fixture(scope="module")
def bare_server(host: Path, model_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A ComfyUI without face packages, with the weight file of its MediaPipe nodes and the pictures of the workflow."""
    folder = tmp_path_factory.mktemp(f"{host.name}-bare")
    (folder / "sitecustomize.py").write_text(BLOCKED, encoding="utf-8")
    base = make_base(folder / "base")
    (base / "models" / "refldm" / "refldm.ckpt").symlink_to(model_files / "tiny.safetensors")
    (base / "models" / "refldm" / "tiny.safetensors").symlink_to(model_files / "tiny.safetensors")
    save_picture(photo([2]), base / "input" / "photo.png")
    for i in (1, 2, 3):
        save_picture(photo([2], background=127 - 8 * i), base / "input" / f"reference_{i}.png")
    if (host / "comfy_extras" / "nodes_mediapipe.py").is_file():
        save_mediapipe(host, base / "models" / "detection", (192, 256))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with running(host, base) as server:
            yield server


def test_pack_loads_without_face_packages(bare_server: Server) -> None:
    assert "IMPORT FAILED" not in bare_server.log
    graph = FaceGraph()
    graph.save(graph.detect(graph.image("photo.png"))[2])
    with pytest.raises(PromptError, match="insightface"):
        bare_server.run(graph.api)


def test_typed_landmarks_restore_without_face_packages(bare_server: Server) -> None:
    graph = FaceGraph()
    model, image = graph.load_model(), graph.image("photo.png")
    faces = graph.add("ReFLDM_FacesFromLandmarks", image=image, text=TEXT, crop_size=128)
    restored = graph.sampler(model[0], model[1], faces[1], steps=2, faces=faces[0])
    ((after,),) = fetch_pictures(bare_server, graph, graph.paste(image, faces[0], restored[0])[0])
    assert face_change(photo([2]), after, 0) > 5


def test_workflow_08_names_the_host_version_that_it_needs() -> None:
    notes = [node["widgets_values"][0] for node in read_workflow()["nodes"] if node["type"] == "MarkdownNote"]
    assert any("ComfyUI 0.23 or newer" in note for note in notes)


def test_workflow_08_loads_no_face_network_of_the_pack() -> None:
    kinds = {node["class_type"] for node in api_of(WORKFLOW).values()}
    assert {"LoadMediaPipeFaceLandmarker", "MediaPipeFaceLandmarker", "ReFLDM_FacesFromLandmarks"} <= kinds
    assert not {kind for kind in kinds if kind.startswith("ReFLDM_LoadFace") or kind == "ReFLDM_SelectReferences"}


def test_workflow_08_restores_the_face(bare_server: Server) -> None:
    """The host's own MediaPipe nodes run. Their weight file is made for this test, since tests download nothing."""
    require_nodes(bare_server, WORKFLOW)
    api = with_model_files(to_api(read_workflow(), bare_server.get("/object_info")))
    loaders = [node["inputs"] for node in api.values() if node["class_type"] == "LoadMediaPipeFaceLandmarker"]
    assert loaders == [{"model_name": NAME}]
    for node in api.values():
        if node["class_type"] == "ReFLDM_Sampler":
            node["inputs"]["steps"] = 2
    crop, after = bare_server.pictures(api)
    before = photo([2])
    assert face_change(before, after, 0) > 5
    assert (after[:, 216:] == before[:, 216:]).all(), "outside the crop every pixel stays the same"
    typed_crop, typed_after = bare_server.pictures(with_typed_landmarks(api))
    assert np.abs(crop.astype(int) - typed_crop).max() <= 1
    # The mesh is float32, and the random network magnifies rounding: the pictures are close, not equal.
    assert (np.abs(after.astype(int) - typed_after) <= 8).mean() > 0.9


def with_typed_landmarks(api: Api) -> Api:
    """Return the same graph with the landmarks as text, without the host's face detection."""
    nodes = {number: node for number, node in api.items() if "MediaPipe" not in node["class_type"]}
    for number, node in nodes.items():
        if node["class_type"] == "ReFLDM_FacesFromLandmarks":
            inputs = {name: value for name, value in node["inputs"].items() if name != "face_landmarks"}
            nodes[number] = {**node, "inputs": {**inputs, "text": TEXT}}
    return nodes


def read_workflow() -> dict:
    return json.loads(WORKFLOW.read_text(encoding="utf-8"))
