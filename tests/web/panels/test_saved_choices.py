"""Panels only show the widgets of their node, so a selection survives saving, copying and reloading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import needs_embedded

from ..browser import Canvas
from .pages import NODES, face, selected_faces

pytestmark = needs_embedded


def test_prompt_holds_widgets_and_nothing_of_the_panels(panels: Canvas) -> None:
    prompt = panels.page.evaluate("() => app.graphToPrompt().then(({ output }) => output)")
    inputs = next(node["inputs"] for node in prompt.values() if node["class_type"] == "ReFLDM_DetectFaces")
    assert inputs["select"] == "all"
    assert not {"face_picker", "people", "before_after", "saved_people"} & {
        key for node in prompt.values() for key in node["inputs"]
    }


def test_selection_survives_export_and_import(panels: Canvas) -> None:
    face(panels, 1).click()
    exported = panels.page.evaluate("() => JSON.stringify(app.graph.serialize())")
    panels.page.evaluate("() => app.graph.clear()")
    panels.load(json.loads(exported))
    assert panels.value("DetectFaces", "select") == "0, 2-5" and selected_faces(panels) == [0, 2, 3, 4, 5]
    reexported = json.loads(panels.page.evaluate("() => JSON.stringify(app.graph.serialize())"))
    assert widget_values(reexported) == widget_values(json.loads(exported)), "panels add no widget values"


def widget_values(workflow: dict[str, Any]) -> dict[str, Any]:
    return {node["type"]: node["widgets_values"] for node in workflow["nodes"] if node["type"][7:] in NODES}


def test_selection_survives_copy_and_paste(panels: Canvas) -> None:
    face(panels, 1).click()
    panels.page.evaluate(
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
    panels.settle()
    copies = "app.graph.nodes.filter((item) => item.comfyClass === kind)"
    try:
        values = panels.evaluate(
            "DetectFaces", f"{copies}.map((n) => n.widgets.find((w) => w.name === 'select').value)"
        )
        assert values == ["0, 2-5", "0, 2-5"]
        panels.wait(lambda: panels.page.get_by_role("listbox", name="Faces").count() == 2)
    finally:
        panels.evaluate("DetectFaces", f"app.graph.remove({copies}[1])")
        panels.settle()


def test_axe_finds_no_serious_problem(panels: Canvas) -> None:
    axe = pytest.importorskip("axe_core_python", reason='there is no axe: pip install -e ".[web]"')
    source = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    panels.page.evaluate(source)
    result = panels.page.evaluate("() => axe.run({ include: [['[data-refldm]']] }, { resultTypes: ['violations'] })")
    serious = [
        (rule["id"], rule["help"], [node["html"] for node in rule["nodes"]])
        for rule in result["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert result["passes"], "axe checked at least one rule"


def test_selection_survives_a_reload(panels: Canvas) -> None:
    face(panels, 1).click()
    panels.page.wait_for_timeout(1500)  # the page saves the open workflow with a delay
    panels.visit()
    panels.page.wait_for_function("() => app.graph.nodes.some((node) => node.comfyClass === 'ReFLDM_DetectFaces')")
    panels.settle()
    assert panels.value("DetectFaces", "select") == "0, 2-5"
    panels.wait(lambda: selected_faces(panels) == [0, 2, 3, 4, 5])
