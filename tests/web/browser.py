"""A page of a real ComfyUI in a headless Chromium."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
  // Nodes 2.0 lays nodes out as elements; the classic canvas knows their sizes itself.
  const element = document.querySelector(`[data-node-id="${node.id}"]`);
  const name = `${node.type} ${node.id}`;
  if (!element) return [name, ...node.boundingRect];
  const { left, top, width, height } = element.getBoundingClientRect();
  const scale = app.canvas.ds.scale;
  return [name, left / scale, top / scale, width / scale, height / scale];
})"""


class Bounds(NamedTuple):
    """Where a node is, in pixels of the graph."""

    name: str
    left: float
    top: float
    width: float
    height: float

    def overlaps(self, other: Bounds) -> bool:
        apart = 1.0  # pixels that rounding may cost
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        down = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        return across > apart and down > apart


class Canvas:
    """The graph in an open page."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{message.text} ({message.location.get('url')})")
                if message.type in ("error", "warning")
                else None
            ),
        )

    @property
    def own_complaints(self) -> list[str]:
        """Errors and warnings in the console that name this pack's files."""
        return [text for text in self.complaints if PACK_NAME in text or "ReFLDM" in text]

    def visit(self) -> None:
        self.page.goto(self.server.url)
        self.page.wait_for_function("() => window.app?.extensionManager && window.app.canvas?.graph", timeout=60_000)

    def load(self, workflow: Path | dict[str, Any]) -> None:
        content = json.loads(workflow.read_text(encoding="utf-8")) if isinstance(workflow, Path) else workflow
        self.page.evaluate("(workflow) => window.app.loadGraphData(workflow)", content)
        self.page.wait_for_function("(count) => app.graph.nodes.length === count", arg=len(content["nodes"]))
        self.settle()

    def settle(self) -> None:
        """Wait until the nodes have their sizes."""
        before: Any = None
        for _ in range(20):
            self.page.wait_for_timeout(150)
            bounds = self.page.evaluate(_BOUNDS)
            if bounds == before:
                return
            before = bounds

    def bounds(self) -> list[Bounds]:
        return [Bounds(*values) for values in self.page.evaluate(_BOUNDS)]

    def node(self, kind: str, what: str) -> Any:
        """A JavaScript expression of `node`, the first of a type."""
        code = f"(kind) => {{ const node = app.graph.nodes.find((item) => item.comfyClass === kind); return {what}; }}"
        return self.page.evaluate(code, f"ReFLDM_{kind}")

    def value(self, kind: str, widget: str) -> Any:
        return self.node(kind, f"node.widgets.find((widget) => widget.name === {widget!r}).value")

    def set_value(self, kind: str, widget: str, value: Any) -> None:
        self.node(kind, f"node.widgets.find((widget) => widget.name === {widget!r}).value = {json.dumps(value)}")

    def spread(self, kinds: tuple[str, ...]) -> None:
        """Move nodes of these types into a row of their own, and show them."""
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
        """Queue the graph as the button Run does, and wait for its end."""
        before = len(requests.get(f"{self.server.url}/history", timeout=60).json())
        self.page.evaluate("() => app.queuePrompt(0, 1)")
        self.wait(lambda: len(requests.get(f"{self.server.url}/history", timeout=60).json()) > before, 240)
        entry = list(requests.get(f"{self.server.url}/history", timeout=60).json().values())[-1]
        assert entry["status"]["status_str"] == "success", entry["status"]
        self.settle()

    def outputs(self) -> dict[str, Any]:
        """Node number -> its outputs in the last run."""
        return list(requests.get(f"{self.server.url}/history", timeout=60).json().values())[-1]["outputs"]

    def wait(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "this did not happen in time"
            self.page.wait_for_timeout(100)


@contextmanager
def opened(browser: Browser, server: Server, *, nodes_2: bool, **options: Any) -> Iterator[Canvas]:
    """A page with an empty graph, in the classic canvas or with Nodes 2.0."""
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
