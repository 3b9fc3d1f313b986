"""The shipped workflows: listed by the host, the same graph as their API twins, and running."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from refldm_core.pipeline import Restorer

from .comfy import PACK, PACK_NAME, Api, PromptError, Server
from .graphs import REFERENCES, with_files
from .oracle import assert_same, restore
from .subgraphs import to_api, without_newer_values

Pictures = dict[str, Tensor]

WORKFLOWS = sorted((PACK / "workflows").glob("*.json"))
NEWER = {"08 core MediaPipe detection": {"LoadMediaPipeFaceLandmarker", "MediaPipeFaceLandmarker"}}
"""Workflows that need nodes which the oldest supported host has not."""

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
    "FaceSimilarity",
    "Degrade",
)


def numbered(number: str) -> Path:
    """Return the workflow whose file name begins with a number."""
    return next(path for path in WORKFLOWS if path.name.startswith(number))


def api_of(path: Path) -> Api:
    return json.loads((PACK / "tests" / "workflows" / f"{path.stem}.api.json").read_text(encoding="utf-8"))


def test_the_pack_loads_and_creates_nothing(server: Server, base: Path) -> None:
    assert "IMPORT FAILED" not in server.log
    assert "Traceback" not in server.log.split("got prompt")[0]
    found = server.get("/object_info")
    assert {f"ReFLDM_{name}" for name in NODES} == {name for name in found if name.startswith("ReFLDM_")}
    assert all(found[f"ReFLDM_{name}"]["category"] == "ReF-LDM" for name in NODES)


def test_every_input_is_explained(server: Server) -> None:
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
    """Skip where the host is too old for a workflow that says so."""
    absent = {node["class_type"] for node in api_of(path).values()} - set(server.get("/object_info"))
    if absent:
        assert absent == NEWER.get(path.stem)
        pytest.skip(
            f"{server.host.name} has no {', '.join(sorted(absent))}: workflow {path.stem} needs a newer ComfyUI"
        )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_and_api_twin_are_the_same_graph(server: Server, path: Path) -> None:
    require_nodes(server, path)
    workflow = json.loads(path.read_text(encoding="utf-8"))
    described = server.get("/object_info")
    assert to_api(workflow, described, muted=True) == without_newer_values(api_of(path), described)


def boxes(workflow: dict[str, Any]) -> list[tuple[str, float, float, float, float]]:
    title = 30
    return [
        (f"{node['type']} {node['id']}", x, y - title, x + node["size"][0], y + node["size"][1])
        for node in workflow["nodes"]
        for x, y in [node["pos"]]
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_nodes_overlap_and_notes_explain(path: Path) -> None:
    workflow = json.loads(path.read_text(encoding="utf-8"))
    for (a, ax, ay, ar, ab), (b, bx, by, br, bb) in combinations(boxes(workflow), 2):
        assert ar <= bx or br <= ax or ab <= by or bb <= ay, f"{a} overlaps {b}"
    assert sum(node["type"] == "MarkdownNote" for node in workflow["nodes"]) >= 2


@pytest.mark.parametrize("path", [numbered("01"), numbered("02")], ids=lambda path: path.stem)
def test_a_workflow_restores_the_face(server: Server, core: Restorer, pictures: Pictures, path: Path) -> None:
    ours = server.pictures(with_files(api_of(path)))[0]
    assert_same(ours, restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES]))


def test_saving_a_person_and_reusing_them(server: Server, base: Path, core: Restorer, pictures: Pictures) -> None:
    path = numbered("03")
    workflow = json.loads(path.read_text(encoding="utf-8"))
    whole = with_files(api_of(path))
    with pytest.raises(PromptError, match=r"There are no saved references person\.safetensors"):
        server.run(whole)
    saving = with_files(to_api(workflow, server.get("/object_info")))
    outputs = server.run(saving)
    node = next(number for number, content in saving.items() if content["class_type"] == "ReFLDM_SaveReferences")
    assert len(outputs[node]["images"]) == 3, "small pictures of the three photos"
    assert (base / "models" / "refldm_references" / "person.safetensors").is_file()
    ours = server.pictures(whole)[0]
    # The file is in 16 bit, and this random network is touchy: close, not equal.
    expected = restore(core, pictures["face.png"], [pictures[name] for name in REFERENCES])
    assert (abs(ours.astype(int) - expected.astype(int)) <= 8).mean() > 0.9
