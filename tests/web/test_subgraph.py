"""The face picker inside a subgraph writes the widget that the subgraph shows outside."""

from __future__ import annotations

from typing import Any

from tests.embedded import needs_embedded

from .browser import WORKFLOWS, Canvas
from .panels.pages import face, selected_faces

pytestmark = needs_embedded

_OUTER = "app.graph.rootGraph.nodes.find((node) => node.isSubgraphNode?.())"


def outer_value(canvas: Canvas, widget: str) -> Any:
    return canvas.page.evaluate(f"() => {_OUTER}.widgets.find((item) => item.name === {widget!r}).value")


def set_outer(canvas: Canvas, widget: str, value: Any) -> None:
    code = f"(value) => {{ {_OUTER}.widgets.find((item) => item.name === {widget!r}).value = value; }}"
    canvas.page.evaluate(code, value)


def enter(canvas: Canvas) -> None:
    """Open the subgraph, and scroll to the face picker."""
    canvas.page.evaluate(f"""() => {{
      const node = {_OUTER};
      app.canvas.openSubgraph(node.subgraph, node);
      const detection = node.subgraph.nodes.find((item) => item.comfyClass === "ReFLDM_DetectFaces");
      Object.assign(app.canvas.ds, {{ scale: 1 }});
      app.canvas.ds.offset[0] = 200 - detection.pos[0];
      app.canvas.ds.offset[1] = 100 - detection.pos[1];
      app.canvas.setDirty(true, true);
    }}""")
    canvas.page.get_by_role("listbox", name="Faces").wait_for()
    canvas.page.wait_for_timeout(500)


def leave(canvas: Canvas) -> None:
    canvas.page.evaluate("() => app.canvas.setGraph(app.graph.rootGraph)")
    canvas.page.wait_for_timeout(500)


def test_picker_inside_a_subgraph_writes_the_widget_outside(canvas: Canvas) -> None:
    canvas.load(next(path for path in WORKFLOWS if path.name.startswith("00")))
    canvas.page.evaluate("""() => {
      const photo = app.graph.nodes.find((node) => node.title === "The photo to restore");
      photo.widgets[0].value = "group.png";
    }""")
    set_outer(canvas, "preset", "fast")
    canvas.run()
    enter(canvas)
    assert selected_faces(canvas) == [0, 1, 2, 3, 4, 5]
    face(canvas, 0).click()
    assert outer_value(canvas, "faces") == "1-5"
    assert selected_faces(canvas) == [1, 2, 3, 4, 5]
    leave(canvas)
    set_outer(canvas, "faces", "2")
    enter(canvas)
    canvas.wait(lambda: selected_faces(canvas) == [2])
    leave(canvas)
    assert canvas.own_messages == []
