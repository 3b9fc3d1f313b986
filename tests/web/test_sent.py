"""The page sends each shipped workflow as the graph that the tests of the host run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import needs_embedded
from tests.host.converting import without_newer_values
from tests.host.test_workflows import api_of, require_nodes

from .browser import WORKFLOWS, Canvas

pytestmark = needs_embedded


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_page_sends_the_api_twin(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    sent = json.loads(canvas.page.evaluate("async () => JSON.stringify((await app.graphToPrompt()).output)"))
    described = canvas.server.get("/object_info")
    twin = api_of(path)
    muted = {str(node["id"]) for node in json.loads(path.read_text(encoding="utf-8"))["nodes"] if node["mode"] == 2}
    assert set(twin) == set(sent) | muted
    expected = without_newer_values({number: twin[number] for number in sent}, described)
    graph: dict[str, Any] = {
        number: {"class_type": node["class_type"], "inputs": node["inputs"]} for number, node in sent.items()
    }
    assert without_newer_values(graph, described) == expected
