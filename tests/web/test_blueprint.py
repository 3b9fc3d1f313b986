"""The subgraph blueprint: found by search, added, set by its own widgets, and run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.embedded import needs_embedded
from tests.host.comfy import PACK_NAME, Server

from .browser import WORKFLOWS, Canvas

pytestmark = needs_embedded

BLUEPRINT = "Restore faces (ReF-LDM)"

LABELS = (
    "photo",
    "photo 1 of the person",
    "photo 2 of the person",
    "photo 3 of the person",
    "preset",
    "strength",
    "faces",
)
"""The form's fields."""

_CONNECT = """([[from, output], [to, input]]) => {
  const [source, target] = [from, to].map((title) => app.graph.nodes.find((node) => node.title === title));
  source.connect(output, target, target.findInputSlot(input));
}"""


@pytest.fixture(autouse=True)
def blueprints(server: Server) -> dict[str, Any]:
    """What the host lists; tests are skipped where a host has no blueprints of packs."""
    answer = requests.get(f"{server.url}/global_subgraphs", timeout=60)
    if answer.status_code == requests.codes.not_found:
        pytest.skip(f"{server.host.name} has no blueprints")
    return answer.json()


def add_by_search(canvas: Canvas, name: str, x: int, y: int, title: str = "") -> None:
    """Double-click the empty canvas, search a node, take the first result and put it down: three clicks."""
    search = canvas.page.get_by_role("search").locator("input").first
    for _ in range(5):  # a page that has just opened misses clicks
        canvas.page.mouse.dblclick(x, y, delay=40)
        canvas.page.wait_for_timeout(700)
        if search.is_visible():
            break
    search.fill(name)
    canvas.page.get_by_test_id("result-item").filter(has_text=name).first.click()
    canvas.page.wait_for_timeout(300)
    canvas.page.mouse.click(x, y)
    canvas.page.wait_for_timeout(300)
    if title:
        canvas.page.evaluate("(title) => { app.graph.nodes.at(-1).title = title; }", title)


def set_widgets(canvas: Canvas, title: str, values: dict[str, Any]) -> None:
    code = """([title, values]) => {
      const node = app.graph.nodes.find((item) => item.title === title);
      for (const [name, value] of Object.entries(values)) {
        const widget = node.widgets.find((item) => item.name === name);
        widget.value = value;
        widget.callback?.(value);
      }
    }"""
    canvas.page.evaluate(code, [title, values])


def test_the_host_offers_the_blueprint_of_this_pack(blueprints: dict[str, Any]) -> None:
    packs = [entry["info"]["node_pack"] for entry in blueprints.values() if entry["name"] == BLUEPRINT]
    assert packs == [f"custom_nodes.{PACK_NAME}"]


def test_four_nodes_restore_a_face(canvas: Canvas) -> None:
    canvas.page.wait_for_function("() => app.graph.nodes.length > 0")  # the graph of a new page
    canvas.page.wait_for_timeout(1000)
    canvas.page.evaluate("() => app.graph.clear()")
    add_by_search(canvas, BLUEPRINT, 800, 300)
    add_by_search(canvas, "Load Image", 300, 200, "photo")
    add_by_search(canvas, "Load Image", 300, 700, "reference")
    add_by_search(canvas, "Save Image", 1400, 300, "end")
    titles = canvas.page.evaluate("() => app.graph.nodes.map((node) => node.title)")
    assert sorted(titles) == sorted([BLUEPRINT, "photo", "reference", "end"])
    assert canvas.page.evaluate(
        "(title) => app.graph.nodes.find((node) => node.title === title).widgets.map((widget) => widget.name)",
        BLUEPRINT,
    ) == ["model", "face_detector", "face_recognizer", "preset", "strength", "faces", "seed"]
    set_widgets(canvas, "photo", {"image": "photo.png"})
    set_widgets(canvas, "reference", {"image": "reference_1.png"})
    for source, target in (
        (("photo", 0), (BLUEPRINT, "photo")),
        (("reference", 0), (BLUEPRINT, "reference")),
        ((BLUEPRINT, 0), ("end", "images")),
    ):
        canvas.page.evaluate(_CONNECT, [source, target])
    set_widgets(canvas, BLUEPRINT, {"preset": "fast", "strength": 0.8, "faces": "0", "seed": 7})
    canvas.run()
    entry = list(canvas.server.get("/history").values())[-1]
    sent = {node["class_type"]: node["inputs"] for node in entry["prompt"][2].values()}
    assert sent["ReFLDM_Sampler"]["preset"] == "fast" and sent["ReFLDM_Sampler"]["seed"] == 7
    assert sent["ReFLDM_Sampler"]["denoise"] == 0.8
    assert sent["ReFLDM_DetectFaces"]["select"] == "0"
    assert sent["ReFLDM_LoadModel"]["checkpoint"] == "embedded"
    end = next(number for number, node in entry["prompt"][2].items() if node["class_type"] == "SaveImage")
    after = canvas.server.picture(entry["outputs"][end]["images"][0])
    before = np.asarray(Image.open(canvas.server.base / "input" / "photo.png"))
    assert after.shape == before.shape
    assert 1 < np.abs(after.astype(int) - before).mean() < 60
    assert (after[:2] == before[:2]).all(), "outside the face, to the last bit"
    assert canvas.own_messages == []


def test_workflow_00_is_a_form_in_app_mode(canvas: Canvas) -> None:
    """Photo, photos of the person, a few settings, and Run."""
    canvas.load(next(path for path in WORKFLOWS if path.name.startswith("00")))
    canvas.page.evaluate("() => app.extensionManager.command.execute('Comfy.ToggleLinear')")
    try:
        form = canvas.page.get_by_test_id("linear-widgets")
        form.wait_for()
        canvas.page.wait_for_timeout(1000)
        if canvas.page.get_by_text("Welcome to Apps").is_visible():
            canvas.page.get_by_role("button", name="Skip").click()
        assert [line for line in form.inner_text().splitlines() if line in LABELS] == list(LABELS)
        before = len(canvas.server.get("/history"))
        canvas.page.get_by_test_id("linear-run-button").get_by_role("button").last.click()
        canvas.wait(lambda: len(canvas.server.get("/history")) > before, 120)
        entry = list(canvas.server.get("/history").values())[-1]
        assert entry["status"]["status_str"] == "success", entry["status"]
    finally:
        canvas.page.evaluate("() => app.extensionManager.command.execute('Comfy.ToggleLinear')")
