"""Every shipped workflow in the page: all nodes known, none over another, nothing of ours in the console."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from tests.embedded import needs_embedded
from tests.host.test_workflows import require_nodes

from .browser import WORKFLOWS, Canvas

pytestmark = needs_embedded


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_loads(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    types = canvas.page.evaluate("() => app.graph.nodes.map((node) => node.type)")
    known = canvas.page.evaluate("() => Object.keys(LiteGraph.registered_node_types)")
    assert set(types) - set(known) == set(), "missing nodes"
    assert canvas.own_complaints == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_node_lies_over_another(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    over = [f"{a.name} and {b.name}" for a, b in combinations(canvas.bounds(), 2) if a.overlaps(b)]
    assert over == []
