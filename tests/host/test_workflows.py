"""The host lists the shipped workflows. They equal their API files, and they run."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from refldm_core.pipeline import Restorer

from .comfy import PACK, PACK_NAME, Api, PromptError, Server
from .converting import to_api, without_newer_values
from .graphs import REFERENCES, with_model_files
from .oracle import assert_same, restore

Pictures = dict[str, Tensor]

WORKFLOWS = sorted((PACK / "workflows").glob("*.json"))
NEWER_NODES = {"08 core MediaPipe detection": {"LoadMediaPipeFaceLandmarker", "MediaPipeFaceLandmarker"}}
"""Workflow -> the nodes that it needs and that the oldest supported host lacks."""

NODES = (
    "LoadModel",
    "EncodeReferences",
    "BatchReferences",
    "SaveReferences",
    "LoadReferences",
    "Conditioning",
    "Sampler",
    "Scheduler",
    "GuidanceInterval",
    "LoadFaceDetector",
    "LoadFaceRecognizer",
    "LoadFaceParser",
    "DetectFaces",
    "FacesFromLandmarks",
    "SelectReferences",
    "MatchPeople",
    "PasteFaces",
    "RestoreVideo",
    "FaceSimilarity",
    "Degrade",
)


def numbered(number: str) -> Path:
    """Return the workflow whose file name begins with a number."""
    return next(path for path in WORKFLOWS if path.name.startswith(number))


def api_of(path: Path) -> Api:
    return json.loads((PACK / "tests" / "workflows" / f"{path.stem}.api.json").read_text(encoding="utf-8"))


def test_pack_loads_with_all_nodes(server: Server) -> None:
    assert "IMPORT FAILED" not in server.log
    assert "Traceback" not in server.log.split("got prompt")[0]
    nodes = server.get("/object_info")
    assert {f"ReFLDM_{name}" for name in NODES} == {name for name in nodes if name.startswith("ReFLDM_")}
    assert all(nodes[f"ReFLDM_{name}"]["category"] == "ReF-LDM" for name in NODES)


def test_every_node_and_input_is_explained(server: Server) -> None:
    for name, node in server.get("/object_info").items():
        if not name.startswith("ReFLDM_"):
            continue
        assert len(node["description"]) > 40, name
        for section in ("required", "optional"):
            for input_name, (_, *options) in node["input"].get(section, {}).items():
                assert options, f"{name}.{input_name}"
                assert len(options[0].get("tooltip", "")) > 10, f"{name}.{input_name}"


def test_the_host_lists_the_workflows(server: Server) -> None:
    assert sorted(server.get("/workflow_templates")[PACK_NAME]) == [path.stem for path in WORKFLOWS]
    assert WORKFLOWS


def require_nodes(server: Server, path: Path) -> None:
    """Skip the test if the host lacks nodes that the workflow is known to need."""
    missing = missing_nodes(server, path)
    if missing:
        assert missing == NEWER_NODES.get(path.stem)
        pytest.skip(
            f"{server.host.name} has no {', '.join(sorted(missing))}: workflow {path.stem} needs a newer ComfyUI"
        )


def missing_nodes(server: Server, path: Path) -> set[str]:
    """Return the node types of a workflow that the host does not have."""
    return {node["class_type"] for node in api_of(path).values()} - set(server.get("/object_info"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_equals_its_api_file(server: Server, path: Path) -> None:
    require_nodes(server, path)
    workflow = json.loads(path.read_text(encoding="utf-8"))
    described = server.get("/object_info")
    assert to_api(workflow, described, muted=True) == without_newer_values(api_of(path), described)


def node_boxes(workflow: dict[str, Any]) -> list[tuple[str, float, float, float, float]]:
    """Return the name, left, top, right and bottom of each node."""
    title = 30  # height of a node's title
    return [
        (f"{node['type']} {node['id']}", x, y - title, x + node["size"][0], y + node["size"][1])
        for node in workflow["nodes"]
        for x, y in [node["pos"]]
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_nodes_overlap_and_notes_explain(path: Path) -> None:
    workflow = json.loads(path.read_text(encoding="utf-8"))
    for (a, ax, ay, ar, ab), (b, bx, by, br, bb) in combinations(node_boxes(workflow), 2):
        assert ar <= bx or br <= ax or ab <= by or bb <= ay, f"{a} overlaps {b}"
    assert sum(node["type"] == "MarkdownNote" for node in workflow["nodes"]) >= 2


@pytest.mark.parametrize("path", [numbered("01"), numbered("02")], ids=lambda path: path.stem)
def test_workflow_restores_the_face(server: Server, core: Restorer, pictures: Pictures, path: Path) -> None:
    restored = server.pictures(with_model_files(api_of(path)))[0]
    assert_same(restored, restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES]))


def test_saved_person_restores_like_the_photos(server: Server, base: Path, core: Restorer, pictures: Pictures) -> None:
    path = numbered("03")
    workflow = json.loads(path.read_text(encoding="utf-8"))
    loading_graph = with_model_files(api_of(path))
    with pytest.raises(PromptError, match=r"There are no saved references person\.safetensors"):
        server.run(loading_graph)
    saving_graph = with_model_files(to_api(workflow, server.get("/object_info")))
    outputs = server.run(saving_graph)
    node = next(number for number, content in saving_graph.items() if content["class_type"] == "ReFLDM_SaveReferences")
    assert len(outputs[node]["images"]) == 3, "small pictures of the three photos"
    assert (base / "models" / "refldm_references" / "person.safetensors").is_file()
    restored = server.pictures(loading_graph)[0]
    # The random network magnifies the rounding to 16 bits in the file: the pictures are close, not equal.
    expected = restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES])
    assert (abs(restored.astype(int) - expected.astype(int)) <= 8).mean() > 0.9
