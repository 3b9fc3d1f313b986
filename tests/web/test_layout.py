"""The layout of every shipped workflow in the page, before and after a run."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from tests.embedded import needs_embedded
from tests.host.test_workflows import require_nodes

from .arranging import Box
from .browser import WORKFLOWS, Bounds, Canvas
from .measuring import OVERFLOW, SHOW, run

pytestmark = needs_embedded


def groups_of(canvas: Canvas) -> list[Bounds]:
    rectangles = canvas.page.evaluate(
        "() => app.graph.groups.map((group) => [group.title, ...group.pos, ...group.size])"
    )
    return [Bounds(*rectangle) for rectangle in rectangles]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_groups_lie_apart_and_each_node_is_in_one(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    groups = groups_of(canvas)
    assert [f"{a.name} and {b.name}" for a, b in combinations(groups, 2) if a.overlaps(b)] == []
    nodes = canvas.page.evaluate(
        "() => app.graph.nodes.map((node) => [`${node.type} ${node.id}`, ...node.pos, ...node.size])"
    )
    boxes = [Box(*group[1:]) for group in groups]
    assert [name for name, *rectangle in nodes if not any(box.holds(Box(*rectangle)) for box in boxes)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_links_go_from_left_to_right(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    ends = canvas.page.evaluate("""() => [...app.graph.links.values()].map((link) => {
      const [from, to] = [link.origin_id, link.target_id].map((id) => app.graph.getNodeById(id));
      return [`${from.type} ${from.id} to ${to.type} ${to.id}`, from.pos[0], to.pos[0]];
    })""")
    assert ends
    assert [name for name, start, end in ends if start > end] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_notes_show_all_of_their_text(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    notes = "() => app.graph.nodes.filter((node) => node.type === 'MarkdownNote').map((node) => Number(node.id))"
    for number in canvas.page.evaluate(notes):
        canvas.page.evaluate(SHOW, [number, 1.0])
        canvas.page.wait_for_timeout(200)
        assert canvas.page.evaluate(OVERFLOW, number) <= 1, number


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_runs_and_then_no_node_lies_over_another(canvas: Canvas, path: Path) -> None:
    require_nodes(canvas.server, path)
    canvas.load(path)
    run(canvas)
    canvas.show_all()
    assert canvas.overlaps() == []
    assert canvas.own_messages == []
