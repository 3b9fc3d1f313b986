"""Every shipped workflow loads in the page: all nodes exist, no nodes overlap, and the console stays clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded import needs_embedded
from tests.host.test_workflows import require_nodes

from .browser import WORKFLOWS, Canvas

pytestmark = needs_embedded


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_loads_without_missing_nodes_or_messages(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    types = canvas.page.evaluate("() => app.graph.nodes.map((node) => node.type)")
    registered = canvas.page.evaluate("() => Object.keys(LiteGraph.registered_node_types)")
    assert set(types) - set(registered) == set(), "missing nodes"
    assert canvas.own_messages == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_nodes_overlap(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    assert canvas.overlaps() == []
