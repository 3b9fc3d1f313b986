"""Measure how smoothly the page runs with the face picker: `python -m tests.web.frames`.

The measure is the time between frames while the graph is zoomed and panned, while the pointer moves over every face,
and while every face is clicked. The picture has 12 megapixels and 30 faces. An empty graph serves as comparison.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.host.comfy import find_hosts, make_base, running

from .browser import FLAGS, Canvas, open_canvas
from .conftest import VIEWS

SIZE = (4000, 3000)  # (width, height) of the picture
COLUMNS, ROWS = 6, 5  # of faces

_START = """() => {
  window.frame_times = [];
  let last = performance.now();
  const tick = (time) => {
    window.frame_times.push(time - last);
    last = time;
    window.frame_request = requestAnimationFrame(tick);
  };
  window.frame_request = requestAnimationFrame(tick);
}"""
_STOP = "() => { cancelAnimationFrame(window.frame_request); return window.frame_times.slice(1); }"
_MOVE = """async (steps) => {
  const { ds } = app.canvas;
  for (let i = 0; i < steps; i++) {
    ds.scale = 0.6 + 0.4 * Math.abs(Math.sin(i / 15));
    ds.offset[0] += i % 40 < 20 ? 4 : -4;
    app.canvas.setDirty(true, true);
    await new Promise(requestAnimationFrame);
  }
}"""


_SHOW = """() => {
  const { ds } = app.canvas;
  ds.scale = 0.8;
  ds.offset[0] = 100;
  ds.offset[1] = -150;
  app.canvas.setDirty(true, true);
}"""


def detection_result(filename: str) -> dict[str, Any]:
    """Return what Detect Faces sends to the page for 30 faces."""
    width, height = SIZE[0] / COLUMNS, SIZE[1] / ROWS
    faces = [
        {
            "index": i,
            "box": [
                (i % COLUMNS + 0.3) * width,
                (i // COLUMNS + 0.2) * height,
                (i % COLUMNS + 0.7) * width,
                (i // COLUMNS + 0.8) * height,
            ],
            "landmarks": [[0, 0]] * 5,
            "confidence": 0.9,
            "selected": True,
        }
        for i in range(COLUMNS * ROWS)
    ]
    picture = {"filename": filename, "subfolder": "", "type": "input"}
    return {"images": [picture], "refldm_faces": [{"size": list(SIZE), "picture": picture, "faces": faces}]}


def measure_frames(canvas: Canvas, action: Callable[[], object]) -> str:
    """Do an action on the page, and return a report of the times between frames."""
    canvas.page.evaluate(_START)
    action()
    times = np.array(canvas.page.evaluate(_STOP))
    return (
        f"{len(times):4d} frames, median {np.median(times):5.1f} ms, 95 % below {np.percentile(times, 95):5.1f} ms, "
        f"longest {times.max():5.1f} ms"
    )


def measure_page(canvas: Canvas) -> None:
    """Print the times between frames in several situations."""
    page = canvas.page
    canvas.load({"nodes": [], "links": [], "version": 0.4})
    print("  moving the empty graph   ", measure_frames(canvas, lambda: page.evaluate(_MOVE, 120)))
    page.evaluate(
        """() => {
          const node = LiteGraph.createNode("ReFLDM_DetectFaces");
          node.pos = [100, 100];
          app.graph.add(node);
          node.setSize([600, node.size[1]]);
        }"""
    )
    canvas.settle()
    print("  moving the node alone    ", measure_frames(canvas, lambda: page.evaluate(_MOVE, 120)))
    deliver = "(result) => { const node = app.graph.nodes[0]; node.onExecuted(result); }"

    def receive() -> None:
        page.evaluate(deliver, detection_result("large.jpg"))
        page.wait_for_function(
            """() => {
              const picker = document.querySelector("[data-refldm=face_picker]");
              return picker?.shadowRoot.querySelector("canvas").width > 300;
            }"""
        )

    print("  receiving the result     ", measure_frames(canvas, receive))
    page.evaluate(_SHOW)
    canvas.settle()
    print("  moving the node and faces", measure_frames(canvas, lambda: page.evaluate(_MOVE, 120)))
    page.evaluate(_SHOW)
    canvas.settle()
    options = page.locator("[data-refldm=face_picker] [role=option]")
    places = [options.nth(i).bounding_box() for i in range(options.count())]

    def visit_faces(click: bool) -> None:
        for place in places:
            page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2, steps=3)
            if click:
                page.mouse.down()
                page.mouse.up()

    print("  pointing at 30 faces     ", measure_frames(canvas, lambda: visit_faces(False)))
    print("  clicking 30 faces        ", measure_frames(canvas, lambda: visit_faces(True)))
    assert canvas.evaluate("DetectFaces", "node.widgets.find((widget) => widget.name === 'select').value") != "all"


def main() -> None:
    from playwright.sync_api import sync_playwright

    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
    for host in find_hosts():
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            base = make_base(Path(folder) / "base")
            Image.fromarray(noise).resize(SIZE).save(base / "input" / "large.jpg")
            with running(host, base) as server:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
                for view in (view for view in VIEWS if view.host == host):
                    print(view.name)
                    with open_canvas(browser, server, nodes_2=view.nodes_2) as canvas:
                        measure_page(canvas)
                browser.close()


if __name__ == "__main__":
    main()
