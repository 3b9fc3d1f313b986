"""Each panel is a view of the node's own widgets: a choice survives saving, copying and reloading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import needs_embedded

from ..browser import Canvas
from .pages import NODES, chosen, face

pytestmark = needs_embedded


def test_a_run_changes_only_what_was_written(ran: Canvas) -> None:
    """The prompt has the nodes' widgets and nothing of the panels."""
    prompt = ran.page.evaluate("() => app.graphToPrompt().then(({ output }) => output)")
    inputs = next(node["inputs"] for node in prompt.values() if node["class_type"] == "ReFLDM_DetectFaces")
    assert inputs["select"] == "all"
    assert not {"face_picker", "people", "before_after", "saved_people"} & {
        key for node in prompt.values() for key in node["inputs"]
    }


def test_the_choice_survives_export_and_import(ran: Canvas) -> None:
    face(ran, 1).click()
    exported = ran.page.evaluate("() => JSON.stringify(app.graph.serialize())")
    ran.page.evaluate("() => app.graph.clear()")
    ran.load(json.loads(exported))
    assert ran.value("DetectFaces", "select") == "0, 2" and chosen(ran) == [0, 2]
    again = json.loads(ran.page.evaluate("() => JSON.stringify(app.graph.serialize())"))
    assert values(again) == values(json.loads(exported)), "panels have no place among the values"


def values(workflow: dict[str, Any]) -> dict[str, Any]:
    return {node["type"]: node["widgets_values"] for node in workflow["nodes"] if node["type"][7:] in NODES}


def test_the_choice_survives_copy_and_paste(ran: Canvas) -> None:
    face(ran, 1).click()
    ran.page.evaluate(
        """() => {
          const node = app.graph.nodes.find((item) => item.comfyClass === "ReFLDM_DetectFaces");
          app.canvas.deselectAll();
          app.canvas.selectNode(node);
          app.canvas.copyToClipboard();
          app.canvas.pasteFromClipboard();
          const copy = app.graph.nodes.findLast((item) => item.comfyClass === "ReFLDM_DetectFaces");
          copy.pos = [0, 5700];
          app.canvas.setDirty(true, true);
        }"""
    )
    ran.settle()
    copies = "app.graph.nodes.filter((item) => item.comfyClass === kind)"
    try:
        values = ran.node("DetectFaces", f"{copies}.map((n) => n.widgets.find((w) => w.name === 'select').value)")
        assert values == ["0, 2", "0, 2"]
        ran.wait(lambda: ran.page.get_by_role("listbox", name="Faces").count() == 2)
    finally:
        ran.node("DetectFaces", f"app.graph.remove({copies}[1])")
        ran.settle()


def test_axe_finds_no_serious_fault(ran: Canvas) -> None:
    axe = pytest.importorskip("axe_core_python", reason='there is no axe: pip install -e ".[web]"')
    source = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    ran.page.evaluate(source)
    result = ran.page.evaluate("() => axe.run({ include: [['[data-refldm]']] }, { resultTypes: ['violations'] })")
    serious = [
        (rule["id"], rule["help"], [node["html"] for node in rule["nodes"]])
        for rule in result["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert result["passes"], "it looked at something"


def test_the_choice_survives_a_reload(ran: Canvas) -> None:
    face(ran, 1).click()
    ran.page.wait_for_timeout(1500)  # the page keeps the open workflow with a delay
    ran.visit()
    ran.page.wait_for_function("() => app.graph.nodes.some((node) => node.comfyClass === 'ReFLDM_DetectFaces')")
    ran.settle()
    assert ran.value("DetectFaces", "select") == "0, 2"
    ran.wait(lambda: chosen(ran) == [0, 2])
