"""Save the shipped workflows as ComfyUI's own page saves them, and lay them out for both ways of drawing nodes.

    python -m tests.web.save_workflows [--arrange] [NAME ...]

It needs a ComfyUI with Nodes 2.0 (see tests/host/comfy.py) and Chromium. NAME is the beginning of a workflow's file
name, such as 04. With --arrange, the nodes lie apart in every ComfyUI that the tests find, before and after a run.
Without it, positions and sizes stay as they are. The newest ComfyUI saves the files.

The page itself writes no `cnr_id` and no `ver`. ComfyUI-Manager's page extension adds both to each new node: to a node
of ComfyUI the id comfy-core and ComfyUI's version, to a node of a pack that came from the registry the pack's name and
version. This script does the same.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refldm_core import __version__
from tests.host.comfy import HOW_TO_GET_A_HOST, PACK, PACK_NAME, Server, find_hosts, make_base, running
from tests.host.converting import to_api
from tests.host.test_workflows import missing_nodes

from .arranging import Box, arrange
from .browser import FLAGS, WORKFLOWS, Canvas, open_canvas
from .conftest import VIEWS
from .inputs import save_inputs
from .measuring import Measured

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BLUEPRINT = PACK / "subgraphs" / "Restore faces (ReF-LDM).json"
"""The subgraph of workflow 00, to be added to other graphs."""

_CATEGORY = "ReF-LDM"
_ALIASES = ["face restoration", "restore face", "refldm", "ref-ldm", "reference photos", "deblur face"]

TITLE = 30.0
"""Pixels of a node's title, above its position."""

_MARK = """([pack, version, host]) => {
  const graphs = [app.graph, ...(app.graph.subgraphs?.values() ?? [])];
  for (const node of graphs.flatMap((graph) => graph.nodes)) {
    const module = node.constructor.nodeData?.python_module ?? "";
    if (module.startsWith("custom_nodes.")) Object.assign(node.properties, { cnr_id: pack, ver: version });
    else if (/^(nodes|comfy_extras|comfy_api_nodes)/.test(module)) {
      node.properties.cnr_id = "comfy-core";
      node.properties.ver ??= host;
    }
  }
}"""

# The graph comes as text, since Playwright would turn every undefined field into a null.
_SERIALIZE = """() => {
  const content = app.graph.serialize();
  content.extra = { ...content.extra, frontendVersion: window.__COMFYUI_FRONTEND_VERSION__ };
  return JSON.stringify(content);
}"""

_PLACE = """([places, groups]) => {
  for (const [id, x, y, width, height] of places) {
    const node = app.graph.getNodeById(id);
    node.setSize([width, height]);
    node.pos = [x, y];
  }
  groups.forEach(([x, y, width, height], i) => {
    app.graph.groups[i].pos = [x, y];
    app.graph.groups[i].size = [width, height];
  });
  app.canvas.ds.scale = 0.8;
  app.canvas.ds.offset[0] = 100;
  app.canvas.ds.offset[1] = 120;
}"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of file names; all without")
    parser.add_argument("--arrange", action="store_true", help="lay nodes, notes and groups out again")
    options = parser.parse_args(arguments)
    paths = [path for path in WORKFLOWS if not options.names or path.name.startswith(tuple(options.names))]
    needed: dict[Path, Measured] = {path: Measured() for path in paths}
    with launched_browser() as browser:
        for view in VIEWS if options.arrange else ():
            with workflow_server(view.host) as server, _new_page(browser, server, view.nodes_2) as canvas:
                for path in paths:
                    if not missing_nodes(server, path):
                        needed[path].add(canvas, path)
        with workflow_server() as server, _new_page(browser, server, nodes_2=False) as canvas:
            for path in paths:
                canvas.load(path)
                if options.arrange:
                    _arrange(canvas, needed[path])
                save(canvas, path)
                print(path.name, flush=True)


@contextmanager
def _new_page(browser: Browser, server: Server, nodes_2: bool) -> Iterator[Canvas]:
    with open_canvas(browser, server, nodes_2=nodes_2) as canvas:
        canvas.page.wait_for_function("() => app.graph.nodes.length > 0")  # the graph of a new page
        yield canvas


@contextmanager
def workflow_server(host: Path | None = None) -> Iterator[Server]:
    """Run a ComfyUI, by default the last one that the tests find, with the inputs of all workflows."""
    hosts = find_hosts()
    if not hosts:
        raise SystemExit(HOW_TO_GET_A_HOST)
    host = host or hosts[-1]
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(Path(folder) / "base")
        save_inputs(host, base)
        with running(host, base) as server:
            yield server


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """Start Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


def save(canvas: Canvas, path: Path) -> None:
    """Write what the page would save, its blueprint if it has one, and the same graph for the API beside the tests."""
    system = canvas.server.get("/system_stats")["system"]
    canvas.page.evaluate(_MARK, [PACK_NAME, __version__, system["comfyui_version"]])
    content = json.loads(canvas.page.evaluate(_SERIALIZE))
    api = to_api(content, canvas.server.get("/object_info"), muted=True)
    _write(content, path)
    _write(api, PACK / "tests" / "workflows" / f"{path.stem}.api.json")
    if content.get("definitions", {}).get("subgraphs"):
        _write(blueprint_of(content), BLUEPRINT)


def _write(content: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def blueprint_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return the only subgraph of a workflow as a blueprint, in the form in which the page publishes one."""
    (subgraph,) = copy.deepcopy(content["definitions"]["subgraphs"])
    (node,) = copy.deepcopy([item for item in content["nodes"] if item["type"] == subgraph["id"]])
    node |= {"id": 1, "pos": [0, 0], "order": 0, "title": subgraph["name"]}
    for socket in node["inputs"]:
        socket["link"] = None
    for socket in node["outputs"]:
        socket["links"] = []
    return {
        "revision": 0,
        "last_node_id": 1,
        "last_link_id": 0,
        "nodes": [node],
        "links": [],
        "version": 0.4,
        # The page reads the category, but does not write it.
        "definitions": {"subgraphs": [{**subgraph, "category": _CATEGORY}]},
        "extra": {"BlueprintDescription": subgraph["description"], "BlueprintSearchAliases": _ALIASES},
    }


def _arrange(canvas: Canvas, sizes: Measured) -> None:
    drawn = {
        number: Box(left, top - TITLE, width, height + TITLE)
        for number, left, top, width, height in canvas.page.evaluate(
            "() => app.graph.nodes.map((node) => [Number(node.id), ...node.pos, ...node.size])"
        )
    }
    groups = canvas.page.evaluate("() => app.graph.groups.map((group) => [...group.pos, ...group.size])")
    layout = arrange(drawn, sizes.space, [Box(*group) for group in groups])
    places = [[number, left, top + TITLE, *sizes.saved[number]] for number, (left, top) in layout.nodes.items()]
    canvas.page.evaluate(_PLACE, [places, layout.groups])
    canvas.settle()


if __name__ == "__main__":
    main()
