"""Control a page of a real ComfyUI in a headless Chromium."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from tests.host.comfy import PACK, PACK_NAME, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WORKFLOWS = sorted((PACK / "workflows").glob("*.json"))

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

_SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Workflow.ShowMissingModelsWarning": False}

_BOUNDS = """() => app.graph.nodes.map((node) => {
  // Nodes 2.0 draws nodes as HTML elements. In the classic canvas each node knows its bounds.
  const element = document.querySelector(`[data-node-id="${node.id}"]`);
  const name = `${node.type} ${node.id}`;
  if (!element) return [name, ...node.boundingRect];
  const { left, top, width, height } = element.getBoundingClientRect();
  const scale = app.canvas.ds.scale;
  return [name, left / scale, top / scale, width / scale, height / scale];
})"""


class Bounds(NamedTuple):
    """The rectangle of a node, in pixels of the graph."""

    name: str
    left: float
    top: float
    width: float
    height: float

    def overlaps(self, other: Bounds) -> bool:
        tolerance = 1.0  # pixels, for rounding
        width = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        height = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        return width > tolerance and height > tolerance


class Canvas:
    """The graph in an open page."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.messages: list[str] = []
        page.on("pageerror", lambda error: self.messages.append(f"{error}\n{error.stack}"))
        page.on(
            "console",
            lambda message: (
                self.messages.append(f"{message.text} ({message.location.get('url')})")
                if message.type in ("error", "warning")
                else None
            ),
        )

    @property
    def own_messages(self) -> list[str]:
        """The errors and warnings in the console that name a file or node of this pack."""
        return [text for text in self.messages if PACK_NAME in text or "ReFLDM" in text]

    def visit(self) -> None:
        """Open the page, and wait until it has a graph."""
        self.page.goto(self.server.url)
        self.page.wait_for_function("() => window.app?.extensionManager && window.app.canvas?.graph", timeout=60_000)

    def load(self, workflow: Path | dict[str, Any]) -> None:
        content = json.loads(workflow.read_text(encoding="utf-8")) if isinstance(workflow, Path) else workflow
        self.page.evaluate("(workflow) => window.app.loadGraphData(workflow)", content)
        self.page.wait_for_function("(count) => app.graph.nodes.length === count", arg=len(content["nodes"]))
        self.settle()

    def settle(self) -> None:
        """Wait until the bounds of all nodes stay the same, or three seconds have passed."""
        previous: Any = None
        for _ in range(20):
            self.page.wait_for_timeout(150)
            bounds = self.page.evaluate(_BOUNDS)
            if bounds == previous:
                return
            previous = bounds

    def show_all(self) -> None:
        """Zoom out to the whole graph, and wait until the bounds of all nodes stay the same.

        The classic canvas loads the pictures of the nodes in view only, and a node grows with its pictures.
        """
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.page.wait_for_timeout(1000)
        self.settle()

    def bounds(self) -> list[Bounds]:
        return [Bounds(*values) for values in self.page.evaluate(_BOUNDS)]

    def overlaps(self) -> list[str]:
        """Return the pairs of nodes that lie over each other."""
        return [f"{a.name} and {b.name}" for a, b in combinations(self.bounds(), 2) if a.overlaps(b)]

    def evaluate(self, kind: str, expression: str) -> Any:
        """Evaluate a JavaScript expression in which `node` is the first node of a type."""
        find_node = "app.graph.nodes.find((item) => item.comfyClass === kind)"
        code = f"(kind) => {{ const node = {find_node}; return {expression}; }}"
        return self.page.evaluate(code, f"ReFLDM_{kind}")

    def value(self, kind: str, widget: str) -> Any:
        return self.evaluate(kind, f"node.widgets.find((widget) => widget.name === {widget!r}).value")

    def set_value(self, kind: str, widget: str, value: Any) -> None:
        self.evaluate(kind, f"node.widgets.find((widget) => widget.name === {widget!r}).value = {json.dumps(value)}")

    def show_in_row(self, kinds: tuple[str, ...]) -> None:
        """Move the nodes of these types into a row, and scroll the page to it."""
        code = """(kinds) => {
          kinds.forEach((kind, i) => {
            const node = app.graph.nodes.find((item) => item.comfyClass === kind);
            node.pos = [i * 430, 5000];
          });
          Object.assign(app.canvas.ds, { scale: 0.8 });
          app.canvas.ds.offset[0] = 90;
          app.canvas.ds.offset[1] = -4850;
          app.canvas.setDirty(true, true);
        }"""
        self.page.evaluate(code, [f"ReFLDM_{kind}" for kind in kinds])
        self.settle()

    def run(self) -> None:
        """Queue the graph as the button Run does, and wait until it has run."""
        earlier_runs = len(self._history())
        self.page.evaluate("() => app.queuePrompt(0, 1)")
        self.wait(lambda: len(self._history()) > earlier_runs, 240)
        entry = self._history()[-1]
        assert entry["status"]["status_str"] == "success", entry["status"]
        self.settle()

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the last run for each node number."""
        return self._history()[-1]["outputs"]

    def _history(self) -> list[dict[str, Any]]:
        """Return the host's entries of the runs so far."""
        return list(requests.get(f"{self.server.url}/history", timeout=60).json().values())

    def wait(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until a condition holds. Fail if that takes too long."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "the condition did not become true in time"
            self.page.wait_for_timeout(100)


@contextmanager
def open_canvas(browser: Browser, server: Server, *, nodes_2: bool, **options: Any) -> Iterator[Canvas]:
    """Open a page, in the classic canvas or with Nodes 2.0, and close it at the end."""
    for name, value in {**_SETTINGS, "Comfy.VueNodes.Enabled": nodes_2}.items():
        requests.post(f"{server.url}/settings/{name}", json=value, timeout=60).raise_for_status()
    context = browser.new_context(viewport={"width": 1800, "height": 1000}, **options)
    try:
        context.set_default_timeout(10_000)
        canvas = Canvas(context.new_page(), server)
        canvas.visit()
        yield canvas
    finally:
        context.close()
