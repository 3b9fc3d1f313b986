"""The face picker on Detect Faces: what it writes into the node's widgets is what runs."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from tests.embedded import needs_embedded

from ..browser import Canvas
from ..conftest import View
from .pages import chosen, face

pytestmark = needs_embedded


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
