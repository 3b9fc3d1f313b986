"""ComfyUI gives the page our translations, and its texts of the nodes are those of the English file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.nodes.locales import LOCALES, read_texts

from .comfy import Server

OLDER_TOOLTIPS = {("ReFLDM_DetectFaces", "face_detector"): "Connect Load Face Detector."}
"""Tooltips in ComfyUI before 0.15, which has no boxes. Its page shows the newer ones, since a locale has one text."""

LANGUAGES = sorted(path.name for path in LOCALES.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def translations(server: Server) -> dict[str, Any]:
    return server.get("/i18n")


@pytest.fixture(scope="module")
def host_nodes(server: Server) -> dict[str, Any]:
    return server.get("/object_info")


def test_the_page_gets_german_node_names(translations: dict[str, Any]) -> None:
    names = translations["de"]["nodeDefs"]
    assert names["ReFLDM_DetectFaces"]["display_name"] == "Gesichter finden"
    assert names["ReFLDM_Sampler"]["inputs"]["steps"]["name"] == "Schritte"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_gets_every_text(translations: dict[str, Any], language: str) -> None:
    served = translations[language]["nodeDefs"]
    expected = read_texts(language)
    assert {node_id: served[node_id] for node_id in expected} == expected


def test_the_english_file_has_the_nodes_of_the_host(host_nodes: dict[str, Any]) -> None:
    assert set(read_texts("en")) == {node_id for node_id in host_nodes if node_id.startswith("ReFLDM_")}


@pytest.mark.parametrize("node_id", sorted(read_texts("en")))
def test_the_english_file_has_the_texts_of_the_host(host_nodes: dict[str, Any], node_id: str) -> None:
    node = host_nodes[node_id]
    english = read_texts("en")[node_id]
    assert (node["display_name"], node["description"]) == (english["display_name"], english["description"])
    for key, name, tooltip in _inputs(node):
        written = english["inputs"][key]
        older = OLDER_TOOLTIPS.get((node_id, key)) if "bboxes" not in node["input"].get("optional", {}) else None
        assert (written["name"], older or written["tooltip"]) == (name, tooltip)
    for i, (name, tooltip) in enumerate(zip(node["output_name"], node["output_tooltips"], strict=True)):
        named = {} if name == node["output"][i] else {"name": name}
        assert english["outputs"].get(str(i), {}) == {**named, **({"tooltip": tooltip} if tooltip else {})}


def _inputs(node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the page's key, the name and the tooltip of each input that the page shows."""
    for key, (_, *options) in {**node["input"].get("required", {}), **node["input"].get("optional", {})}.items():
        fields = options[0] if options else {}
        if fields.get("hidden"):
            continue
        tooltip = fields["tooltip"]
        yield key, fields.get("display_name") or key, tooltip
        yield from ((f"{key}_{socket}", socket, tooltip) for socket in fields.get("template", {}).get("names", []))
