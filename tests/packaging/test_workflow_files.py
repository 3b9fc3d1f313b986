"""The shipped workflows and blueprints are files as ComfyUI's page saves them, each workflow with a small picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .archive import ROOT, archived_files

WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
FILES = [*WORKFLOWS, *BLUEPRINTS]


def content_of(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def nodes_of(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from content["nodes"]
    for subgraph in content.get("definitions", {}).get("subgraphs", []):
        yield from subgraph["nodes"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nodes_name_the_pack_that_they_come_from(path: Path) -> None:
    """ComfyUI-Manager installs missing packs by this."""
    own = [node for node in nodes_of(content_of(path)) if node["type"].startswith("ReFLDM_")]
    assert own
    for node in own:
        assert node["properties"]["cnr_id"] == "refldm", node["type"]
        assert node["properties"]["ver"].count(".") == 2, node["type"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_values_have_the_names_of_their_widgets(path: Path) -> None:
    """Values alone are told apart by their places, which validators of other projects misread."""
    for node in nodes_of(content_of(path)):
        if node["type"].startswith("ReFLDM_") and node.get("widgets_values"):
            widgets = {socket["widget"]["name"] for socket in node["inputs"] if "widget" in socket}
            named = node["widgets_values_named"]
            assert widgets <= set(named), node["type"]
            assert list(named.values()) == node["widgets_values"], node["type"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_notes_have_one_text(path: Path) -> None:
    """Files of the newest pages hold it twice."""
    for node in nodes_of(content_of(path)):
        if node["type"] == "MarkdownNote" and "widgets_values_named" in node:
            assert node["widgets_values_named"]["text"] == node["widgets_values"][0]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_a_small_picture(path: Path) -> None:
    picture = path.with_suffix(".jpg")
    assert picture.stat().st_size < 40_000
    with Image.open(picture) as opened:
        assert opened.format == "JPEG" and opened.width == 400 and 150 <= opened.height <= 460


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_one_subgraph_node(path: Path) -> None:
    content = content_of(path)
    (node,) = content["nodes"]
    (subgraph,) = content["definitions"]["subgraphs"]
    assert node["type"] == subgraph["id"] and node["title"] == subgraph["name"] == path.stem
    assert content["links"] == []
    assert [socket["name"] for socket in node["inputs"]] == [socket["name"] for socket in subgraph["inputs"]]
    assert all(socket["link"] is None for socket in node["inputs"])


def test_the_archive_holds_them() -> None:
    shipped = {*FILES, *(path.with_suffix(".jpg") for path in WORKFLOWS)}
    assert BLUEPRINTS
    assert {path.relative_to(ROOT).as_posix() for path in shipped} <= set(archived_files())
