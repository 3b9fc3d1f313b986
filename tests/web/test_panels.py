"""The panels on nodes: each is a view of the node's own widgets, and what it writes is what runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.embedded import needs_embedded
from tests.host.test_saved_people import save_person

from .browser import WORKFLOWS, Canvas, opened
from .conftest import View

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_embedded

GROUP = next(path for path in WORKFLOWS if path.stem.startswith("05"))
NODES = ("DetectFaces", "MatchPeople", "PasteFaces")


@pytest.fixture(scope="module")
def ran(canvas: Canvas) -> Canvas:
    """The page after a run of the group photo."""
    canvas.load(GROUP)
    canvas.set_value("Sampler", "steps", 2)
    canvas.spread(NODES)
    canvas.run()
    canvas.page.get_by_role("listbox", name="Faces").wait_for()
    return canvas


@pytest.fixture(autouse=True)
def as_loaded(ran: Canvas) -> Iterator[None]:
    """The widgets that panels write, as the workflow has them, and nothing in focus."""
    ran.page.evaluate("() => document.activeElement?.blur()")
    ran.set_value("DetectFaces", "select", "all")
    ran.set_value("DetectFaces", "count", 0)
    ran.set_value("DetectFaces", "added_boxes", "")
    ran.set_value("MatchPeople", "assignments", "")
    ran.node("DetectFaces", "node.onConfigure({})")
    ran.node("MatchPeople", "node.onConfigure({})")
    yield
    assert ran.own_complaints == []


def face(canvas: Canvas, number: int) -> Any:
    return canvas.page.get_by_role("option", name=f"Face {number},")


def chosen(canvas: Canvas) -> list[int]:
    """Numbers of the faces that are marked as chosen."""
    options = canvas.page.locator("[data-refldm=face_picker] [role=option]")
    return [i for i in range(options.count()) if options.nth(i).get_attribute("aria-selected") == "true"]


def test_a_click_chooses_which_face_is_restored(ran: Canvas) -> None:
    """Face 0 is Anna's; without her, her part of the photo stays as it was."""
    before = np.asarray(Image.open(ran.server.base / "input" / "group.png").convert("RGB"), dtype=int)

    def change_of_anna() -> float:
        saved = next(output for output in ran.outputs().values() if "refldm" in str(output.get("images")))
        left, top, right, bottom = map(round, boxes[0])
        return float(np.abs(ran.server.picture(saved["images"][0]) - before)[top:bottom, left:right].mean())

    boxes = ran.node("DetectFaces", "node.properties.refldm_faces[0].faces.map((face) => face.box)")
    assert change_of_anna() > 3
    face(ran, 0).click()
    assert ran.value("DetectFaces", "select") == "1, 2"
    assert chosen(ran) == [1, 2]
    ran.run()
    assert change_of_anna() == 0
    face(ran, 0).click()
    assert ran.value("DetectFaces", "select") == "all"
    ran.run()  # the other tests show all faces
    assert change_of_anna() > 3


def test_shift_click_takes_a_range(ran: Canvas) -> None:
    ran.set_value("DetectFaces", "select", "0")
    face(ran, 0).click()  # the last face stays
    assert ran.value("DetectFaces", "select") == "0"
    face(ran, 2).click(modifiers=["Shift"])
    assert ran.value("DetectFaces", "select") == "all" and chosen(ran) == [0, 1, 2]


def test_the_keyboard_does_all(ran: Canvas) -> None:
    ran.set_value("DetectFaces", "select", "1")
    ran.node("DetectFaces", "node.onConfigure({})")
    face(ran, 0).focus()
    keyboard = ran.page.keyboard
    for key, text in (("Space", "0, 1"), ("a", "all"), ("Space", "1, 2"), ("Escape", "1")):
        keyboard.press(key)
        assert ran.value("DetectFaces", "select") == text, key
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    assert ran.value("DetectFaces", "select") == "1, 2", "of the third face"


def test_a_picked_face_is_not_cut_by_count(ran: Canvas) -> None:
    ran.set_value("DetectFaces", "count", 1)
    ran.node("DetectFaces", "node.onConfigure({})")
    assert chosen(ran) == [0]
    face(ran, 2).click()
    assert (ran.value("DetectFaces", "select"), ran.value("DetectFaces", "count")) == ("0, 2", 0)


def test_a_selection_that_is_typed_into_the_node_is_shown(view: View, ran: Canvas) -> None:
    if not view.nodes_2:
        widget = "node.widgets.find((item) => item.name === 'select')"
        ran.node("DetectFaces", f"{widget}.setValue('1', {{ e: {{}}, node, canvas: app.canvas }})")
    else:
        number = ran.node("DetectFaces", "node.id")
        field = ran.page.locator(f'[data-node-id="{number}"] input[type=text]').first
        field.fill("1")
        field.press("Tab")
    assert ran.value("DetectFaces", "select") == "1"
    ran.wait(lambda: chosen(ran) == [1])


def test_another_order_asks_for_a_run(ran: Canvas) -> None:
    """The numbers are those of the last run, and select would mean other faces."""
    status = ran.page.locator("[data-refldm=face_picker] [role=status]")
    assert "3 of 3" in status.inner_text()
    order = "node.widgets.find((item) => item.name === 'order')"
    for value, says in (("largest", "Run again"), ("left to right", "3 of 3")):
        ran.node("DetectFaces", f"(({order}).value = '{value}', ({order}).callback('{value}'))")
        assert says in status.inner_text()


def test_several_pictures_are_paged_through(ran: Canvas) -> None:
    shown = ran.node("DetectFaces", "node.properties.refldm_faces")
    portrait = {"filename": "photo.png", "subfolder": "", "type": "input"}
    second = {"size": [400, 400], "picture": portrait, "faces": shown[0]["faces"][:1]}
    try:
        ran.node("DetectFaces", f"node.onExecuted({json.dumps({'refldm_faces': [*shown, second]})})")
        ran.page.get_by_role("button", name="Picture 2 of 2").click()
        ran.wait(lambda: chosen(ran) == [0])
        draw_box(ran, 400, (200, 200), (300, 300))
        assert ran.value("DetectFaces", "added_boxes").startswith("1: ")
        ran.page.get_by_role("button", name="Picture 1 of 2").click()
        ran.wait(lambda: chosen(ran) == [0, 1, 2])
        assert ran.page.get_by_role("button", name="Remove the added box").count() == 0
    finally:
        ran.node("DetectFaces", f"node.onExecuted({json.dumps({'refldm_faces': shown})})")


def draw_box(canvas: Canvas, width: int, corner: tuple[int, int], opposite: tuple[int, int]) -> None:
    """Draw between two points of a picture that is so many pixels wide."""
    canvas.page.get_by_role("button", name="Add face").click()
    stage = canvas.page.locator("[data-refldm=face_picker] .stage").bounding_box()
    scale = stage["width"] / width
    canvas.page.mouse.move(stage["x"] + corner[0] * scale, stage["y"] + corner[1] * scale)
    canvas.page.mouse.down()
    canvas.page.mouse.move(stage["x"] + opposite[0] * scale, stage["y"] + opposite[1] * scale, steps=4)
    canvas.page.mouse.up()


def test_a_hover_enlarges_the_face(ran: Canvas) -> None:
    large = ran.page.locator("[data-refldm=face_picker] canvas.large")
    assert not large.is_visible()
    face(ran, 1).hover()
    large.wait_for(state="visible")
    pixels = large.evaluate("(canvas) => [...canvas.getContext('2d').getImageData(72, 72, 1, 1).data]")
    assert pixels[3] == 255 and sum(pixels[:3]) > 0
    ran.page.mouse.move(5, 990)
    large.wait_for(state="hidden")


def test_a_box_is_drawn_and_removed(ran: Canvas) -> None:
    draw_box(ran, 768, (600, 100), (700, 220))
    picture, _, numbers = ran.value("DetectFaces", "added_boxes").partition(": ")
    assert picture == "0"
    assert np.abs(np.array(numbers.split(","), dtype=int) - [600, 100, 100, 120]).max() <= 3
    ran.page.get_by_role("button", name="Remove the added box").click()
    assert ran.value("DetectFaces", "added_boxes") == ""


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


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
def test_the_slider_moves(ran: Canvas, how: str) -> None:
    slider = ran.page.get_by_role("slider", name="before")
    slider.wait_for()
    stage = ran.page.locator("[data-refldm=before_after] .stage").bounding_box()
    ran.page.mouse.click(stage["x"] + stage["width"] / 2, stage["y"] + 20)
    assert abs(int(slider.get_attribute("aria-valuenow")) - 50) <= 1
    if how == "mouse":
        ran.page.mouse.down()
        ran.page.mouse.move(stage["x"] + stage["width"] / 4, stage["y"] + 30, steps=3)
        ran.page.mouse.up()
        assert abs(int(slider.get_attribute("aria-valuenow")) - 25) <= 1
    else:
        for key, value in (("Home", 0), ("ArrowRight", 1), ("PageUp", 11), ("End", 100), ("ArrowLeft", 99)):
            ran.page.keyboard.press(key)
            assert int(slider.get_attribute("aria-valuenow")) == value
    clip = ran.page.locator("[data-refldm=before_after] canvas.before").evaluate(
        "(canvas) => getComputedStyle(canvas).clipPath"
    )
    assert clip.startswith("inset(0")


def test_a_face_is_dragged_to_a_person(ran: Canvas) -> None:
    source = ran.page.get_by_role("button", name="Pick face 1").bounding_box()
    target = ran.page.get_by_role("button", name="Ben,").bounding_box()
    ran.page.mouse.move(source["x"] + 8, source["y"] + 8)
    ran.page.mouse.down()
    ran.page.mouse.move(target["x"] + 8, target["y"] + 8, steps=5)
    ran.page.mouse.up()
    assert ran.value("MatchPeople", "assignments") == "1: Ben"
    ran.page.get_by_role("button", name="Undo all").click()
    assert ran.value("MatchPeople", "assignments") == ""


def test_a_face_is_clicked_to_a_person(ran: Canvas) -> None:
    ran.page.get_by_role("button", name="Pick face 2").click()
    ran.page.get_by_role("button", name="nobody,").click()
    assert ran.value("MatchPeople", "assignments") == "2: nobody"
    ran.page.get_by_role("combobox", name="Person of face 0").select_option("Cem")
    assert ran.value("MatchPeople", "assignments") == "0: Cem, 2: nobody"
    ran.page.get_by_role("combobox", name="Person of face 0").select_option("")
    assert ran.value("MatchPeople", "assignments") == "2: nobody"


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


def test_people_are_renamed_and_deleted(view: View, ran: Canvas, browser: Browser) -> None:
    folder = ran.server.base / "models" / "refldm_references"
    for name in ("person", "Ben"):
        save_person(folder / f"{name}.safetensors")
    saving = next(path for path in WORKFLOWS if path.stem.startswith("03"))
    with opened(browser, ran.server, nodes_2=view.nodes_2) as canvas:
        page = canvas.page
        canvas.load(saving)
        canvas.spread(("LoadReferences",))
        assert canvas.value("LoadReferences", "name") == "person.safetensors"
        page.get_by_role("button", name="Rename person").click()
        page.get_by_role("textbox", name="New name of person").fill("../person")
        page.keyboard.press("Enter")
        page.get_by_text("cannot be the name of a file").wait_for()
        assert (folder / "person.safetensors").is_file()
        page.get_by_role("textbox", name="New name of person").fill("Anna Lee")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Rename Anna Lee").wait_for()
        assert canvas.value("LoadReferences", "name") == "Anna Lee.safetensors"
        assert not (folder / "person.safetensors").exists() and (folder / "Anna Lee.safetensors").is_file()
        page.get_by_role("button", name="Delete Ben").click()
        page.get_by_role("button", name="Cancel", exact=True).click()
        assert (folder / "Ben.safetensors").is_file()
        page.get_by_role("button", name="Delete Ben").click()
        page.get_by_role("button", name="Delete Ben for good").click()
        page.get_by_role("button", name="Delete Ben").wait_for(state="detached")
        assert not (folder / "Ben.safetensors").exists()
        # The browser itself reports the refused name.
        assert [text for text in canvas.own_complaints if "400 (Bad Request)" not in text] == []
        (folder / "Anna Lee.safetensors").unlink()
