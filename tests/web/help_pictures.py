"""Photograph the nodes in ComfyUI's page for their help pages, after a real run of a shipped workflow.

    python -m tests.web.help_pictures [NODE ...]

It needs a ComfyUI with Nodes 2.0 (see tests/host/comfy.py) and Chromium. NODE is a node's id without ReFLDM_, such as
DetectFaces. Each picture goes to js/docs, beside the page that shows it.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence

from PIL import Image

from tests.host.comfy import PACK

from .browser import Canvas, open_canvas
from .save_workflows import launched_browser, workflow_server

DOCS = PACK / "js" / "docs"

_WORKFLOWS = {
    "01": ("EncodeReferences", "LoadModel", "Sampler"),
    "02": ("Conditioning",),
    "03": ("LoadReferences", "SaveReferences"),
    "05": ("DetectFaces", "LoadFaceDetector", "LoadFaceRecognizer", "MatchPeople", "PasteFaces", "SelectReferences"),
    "08": ("FacesFromLandmarks",),
}
"""Beginning of a workflow's file name -> the nodes that are photographed in it."""

_WITHOUT_WORKFLOW = (
    "BatchReferences",
    "Degrade",
    "FaceSimilarity",
    "GuidanceInterval",
    "LoadFaceParser",
    "RestoreVideo",
    "Scheduler",
)
"""Nodes that no shipped workflow has. They are photographed without connections."""

_WIDTH = 480  # pixels of the pictures at most
_QUALITY = 82
_PADDING = 8  # pixels around a node

_SHOW = """(kind) => {
  const node = app.graph.nodes.find((item) => item.comfyClass === kind);
  node.mode = 0; // a part of workflow 03 is muted
  Object.assign(app.canvas.ds, { scale: 1 });
  app.canvas.ds.offset[0] = 120 - node.pos[0];
  app.canvas.ds.offset[1] = 120 - node.pos[1];
  app.canvas.setDirty(true, true);
  return String(node.id);
}"""

_ADD = """(kind) => {
  app.graph.clear();
  const node = LiteGraph.createNode(kind);
  node.pos = [0, 0];
  app.graph.add(node);
}"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", nargs="*", metavar="NODE", help="ids without ReFLDM_; all without")
    names = set(parser.parse_args(arguments).nodes)
    with (
        launched_browser() as browser,
        workflow_server() as server,
        open_canvas(browser, server, nodes_2=True) as canvas,
    ):
        canvas.page.set_viewport_size({"width": 1400, "height": 1500})
        for name in _shown(canvas, names):
            picture = _photograph(canvas, name)
            (DOCS / f"ReFLDM_{name}.jpg").write_bytes(picture)
            print(f"ReFLDM_{name}.jpg, {len(picture) / 1000:.0f} kB", flush=True)


def _shown(canvas: Canvas, names: set[str]) -> Iterator[str]:
    """Open a graph with each node, and yield the name of the node."""
    for name in _WITHOUT_WORKFLOW:
        if not names or name in names:
            canvas.page.evaluate(_ADD, f"ReFLDM_{name}")
            yield name
    for number, nodes in _WORKFLOWS.items():
        wanted = [name for name in nodes if not names or name in names]
        if wanted:
            canvas.load(next((PACK / "workflows").glob(f"{number} *.json")))
            if number == "03":
                canvas.set_value("SaveReferences", "overwrite", True)
            canvas.run()
            yield from wanted


def _photograph(canvas: Canvas, name: str) -> bytes:
    """Return a JPEG file of the first node of a type, with a little of the page around it."""
    number = canvas.page.evaluate(_SHOW, f"ReFLDM_{name}")
    canvas.settle()
    canvas.page.wait_for_timeout(800)
    box = canvas.page.locator(f'[data-node-id="{number}"]').bounding_box()
    assert box is not None, f"{name} is not in the page"
    clip = {
        "x": box["x"] - _PADDING,
        "y": box["y"] - _PADDING,
        "width": box["width"] + 2 * _PADDING,
        "height": box["height"] + 2 * _PADDING,
    }
    picture = Image.open(io.BytesIO(canvas.page.screenshot(clip=clip))).convert("RGB")
    if picture.width > _WIDTH:
        size = (_WIDTH, round(_WIDTH * picture.height / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=_QUALITY, optimize=True)
    return content.getvalue()


if __name__ == "__main__":
    main()
