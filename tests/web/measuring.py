"""The sizes that the nodes of a workflow need in the page, in both ways of drawing."""

from __future__ import annotations

import math
from pathlib import Path

from .browser import Canvas

Size = tuple[float, float]

_STEP = 10.0  # positions and sizes are multiples of this
_NOTE_HEIGHT = 90.0  # pixels that the shortest note needs
_MARGIN = 20.0  # pixels below a note's text: other versions of the page set it a little wider


_WIDGETS_FOR_A_QUICK_RUN = {"steps": 2, "preset": "fast", "overwrite": True, "checkpoint": "embedded"}


_SET_WIDGETS = """(values) => {
  const graphs = [app.graph, ...(app.graph.subgraphs?.values() ?? [])];
  for (const node of graphs.flatMap((graph) => graph.nodes))
    for (const widget of node.widgets ?? [])
      if (widget.name in values) widget.value = values[widget.name];
}"""

SHOW = """([id, scale]) => {
  const node = app.graph.getNodeById(id);
  const { ds, canvas } = app.canvas;
  ds.scale = scale;
  ds.offset[0] = 100 / scale - node.pos[0];
  ds.offset[1] = 150 / scale - node.pos[1];
  app.canvas.setDirty(true, true);
}"""

_RESIZE = """([id, width, height]) => {
  app.graph.getNodeById(id).setSize([width, height]);
  app.canvas.setDirty(true, true);
}"""

OVERFLOW = """(id) => {
  const node = app.graph.getNodeById(id);
  const root = document.querySelector(`[data-node-id="${id}"]`) ?? node.widgets[0].element;
  const parts = [root, ...root.querySelectorAll("*")].filter(
    (part) => part.tagName !== "TEXTAREA" && getComputedStyle(part).overflowY !== "visible",
  );
  if (!root.clientHeight) return null;
  return Math.max(0, ...parts.map((part) => part.clientHeight && part.scrollHeight - part.clientHeight));
}"""
"""Pixels of a note's text that its node hides; null where the note itself is not in view."""


class Measured:
    """The sizes of a workflow's nodes, by the node's number.

    Attributes:
        saved: (width, height) for the file, without the title.
        space: (width, height) that the node needs in either way of drawing, before and after a run, with its title.
    """

    def __init__(self) -> None:
        self.saved: dict[int, Size] = {}
        self.space: dict[int, Size] = {}

    def add(self, canvas: Canvas, path: Path) -> None:
        """Measure in an open page."""
        canvas.load(path)
        notes = "() => app.graph.nodes.filter((node) => node.type === 'MarkdownNote').map((node) => Number(node.id))"
        for number in canvas.page.evaluate(notes):
            _grow(self.saved, number, fit_note(canvas, number))
        for number, width, height in canvas.page.evaluate(
            "() => app.graph.nodes.map((node) => [Number(node.id), ...node.size])"
        ):
            if number in self.saved:
                canvas.page.evaluate(_RESIZE, [number, *self.saved[number]])
            elif not _nodes_2(canvas):
                self.saved[number] = (width, height)
        self._add_space(canvas)
        try:
            run(canvas)
        except (AssertionError, TimeoutError) as error:
            print(f"{path.name} does not run: {str(error)[:500]}", flush=True)
        self._add_space(canvas)

    def _add_space(self, canvas: Canvas) -> None:
        canvas.show_all()
        for bounds in canvas.bounds():
            number = int(bounds.name.rpartition(" ")[2])
            _grow(self.space, number, (_rounded(bounds.width), _rounded(bounds.height)))


def _grow(sizes: dict[int, Size], number: int, size: Size) -> None:
    width, height = sizes.get(number, (0.0, 0.0))
    sizes[number] = (max(width, size[0]), max(height, size[1]))


def _nodes_2(canvas: Canvas) -> bool:
    return canvas.page.evaluate("() => document.querySelector('[data-node-id]') !== null")


def run(canvas: Canvas, seconds: float = 600.0) -> None:
    """Run the graph in the page with the quickest settings.

    The host forgets earlier results first: a node shows more pictures after it has really run.
    """
    canvas.server.free()
    canvas.page.evaluate(_SET_WIDGETS, _WIDGETS_FOR_A_QUICK_RUN)
    before = set(canvas.server.get("/history"))
    canvas.page.evaluate("() => app.queuePrompt(0, 1)")
    canvas.wait(lambda: bool(set(canvas.server.get("/history")) - before), seconds)
    (number,) = set(canvas.server.get("/history")) - before
    status = canvas.server.get(f"/history/{number}")[number]["status"]
    assert status["status_str"] == "success", status["messages"][-1]
    canvas.page.wait_for_timeout(500)


def fit_note(canvas: Canvas, number: int) -> Size:
    """Return the size at which a note shows all of its text."""
    canvas.page.evaluate(SHOW, [number, 1.0])
    width = canvas.page.evaluate("(id) => app.graph.getNodeById(id).size[0]", number)
    height = _NOTE_HEIGHT
    for _ in range(8):
        canvas.page.evaluate(_RESIZE, [number, width, height])
        canvas.page.wait_for_timeout(300)
        overflow = canvas.page.evaluate(OVERFLOW, number)
        if overflow == 0:
            break
        height = _rounded(height + (overflow or 0.0))
    return width, height + _MARGIN


def _rounded(value: float) -> float:
    return float(math.ceil(value / _STEP) * _STEP)
