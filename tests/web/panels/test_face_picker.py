"""The face picker on Detect Faces writes the widgets of the node, and a run uses what it wrote."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from tests.embedded import needs_embedded

from ..browser import Canvas
from ..conftest import View
from .pages import face, selected_faces

pytestmark = needs_embedded

EVERY_FACE = list(range(6))
"""The indices of all faces of the group photo."""


def test_click_selects_the_faces_that_a_run_restores(panels: Canvas) -> None:
    """Face 0 is Anna's. Without it, her part of the photo stays the same."""
    photo = np.asarray(Image.open(panels.server.base / "input" / "group.png").convert("RGB"), dtype=int)

    def change_of_anna() -> float:
        output = next(output for output in panels.outputs().values() if "refldm" in str(output.get("images")))
        left, top, right, bottom = map(round, boxes[0])
        change = np.abs(panels.server.picture(output["images"][0]) - photo)
        return float(change[top:bottom, left:right].mean())

    boxes = panels.evaluate("DetectFaces", "node.properties.refldm_faces[0].faces.map((face) => face.box)")
    assert change_of_anna() > 3
    face(panels, 0).click()
    assert panels.value("DetectFaces", "select") == "1-5"
    assert selected_faces(panels) == [1, 2, 3, 4, 5]
    panels.run()
    assert change_of_anna() == 0
    face(panels, 0).click()
    assert panels.value("DetectFaces", "select") == "all"
    panels.run()  # the other tests expect all faces
    assert change_of_anna() > 3


def test_shift_click_selects_a_range(panels: Canvas) -> None:
    panels.set_value("DetectFaces", "select", "0")
    face(panels, 0).click()  # the last selected face stays selected
    assert panels.value("DetectFaces", "select") == "0"
    face(panels, 2).click(modifiers=["Shift"])
    assert panels.value("DetectFaces", "select") == "0-2" and selected_faces(panels) == [0, 1, 2]
    face(panels, 5).click(modifiers=["Shift"])
    assert panels.value("DetectFaces", "select") == "all" and selected_faces(panels) == EVERY_FACE


def test_keyboard_selects_faces(panels: Canvas) -> None:
    panels.set_value("DetectFaces", "select", "1")
    panels.evaluate("DetectFaces", "node.onConfigure({})")
    face(panels, 0).focus()
    keyboard = panels.page.keyboard
    for key, text in (("Space", "0, 1"), ("a", "all"), ("Space", "1-5"), ("Escape", "1")):
        keyboard.press(key)
        assert panels.value("DetectFaces", "select") == text, key
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    assert panels.value("DetectFaces", "select") == "1, 4", "two faces to the right, in the same row of the photo"


def test_selecting_a_face_resets_count(panels: Canvas) -> None:
    panels.set_value("DetectFaces", "count", 1)
    panels.evaluate("DetectFaces", "node.onConfigure({})")
    assert selected_faces(panels) == [0]
    face(panels, 2).click()
    assert (panels.value("DetectFaces", "select"), panels.value("DetectFaces", "count")) == ("0, 2", 0)


def test_typed_selection_is_shown(view: View, panels: Canvas) -> None:
    if not view.nodes_2:
        widget = "node.widgets.find((item) => item.name === 'select')"
        panels.evaluate("DetectFaces", f"{widget}.setValue('1', {{ e: {{}}, node, canvas: app.canvas }})")
    else:
        number = panels.evaluate("DetectFaces", "node.id")
        field = panels.page.locator(f'[data-node-id="{number}"] input[type=text]').first
        field.fill("1")
        field.press("Tab")
    assert panels.value("DetectFaces", "select") == "1"
    panels.wait(lambda: selected_faces(panels) == [1])


def test_changed_order_asks_for_a_run(panels: Canvas) -> None:
    """The numbers belong to the last run. With another order they would select other faces."""
    status = panels.page.locator("[data-refldm=face_picker] [role=status]")
    assert "6 of 6" in status.inner_text()
    order = "node.widgets.find((item) => item.name === 'order')"
    for value, message in (("largest", "Run again"), ("left to right", "6 of 6")):
        panels.evaluate("DetectFaces", f"(({order}).value = '{value}', ({order}).callback('{value}'))")
        assert message in status.inner_text()


def test_pages_show_several_pictures(panels: Canvas) -> None:
    shown = panels.evaluate("DetectFaces", "node.properties.refldm_faces")
    portrait = {"filename": "photo.png", "subfolder": "", "type": "input"}
    second = {"size": [400, 400], "picture": portrait, "faces": shown[0]["faces"][:1]}
    try:
        panels.evaluate("DetectFaces", f"node.onExecuted({json.dumps({'refldm_faces': [*shown, second]})})")
        panels.page.get_by_role("button", name="Picture 2 of 2").click()
        panels.wait(lambda: selected_faces(panels) == [0])
        draw_box(panels, 400, (200, 200), (300, 300))
        assert panels.value("DetectFaces", "added_boxes").startswith("1: ")
        panels.page.get_by_role("button", name="Picture 1 of 2").click()
        panels.wait(lambda: selected_faces(panels) == EVERY_FACE)
        assert panels.page.get_by_role("button", name="Remove the added box").count() == 0
    finally:
        panels.evaluate("DetectFaces", f"node.onExecuted({json.dumps({'refldm_faces': shown})})")


def draw_box(canvas: Canvas, width: int, corner: tuple[int, int], opposite: tuple[int, int]) -> None:
    """Draw a box between two points of a picture of this width. All values are in pixels of the picture."""
    canvas.page.get_by_role("button", name="Add face").click()
    stage = canvas.page.locator("[data-refldm=face_picker] .stage").bounding_box()
    scale = stage["width"] / width
    canvas.page.mouse.move(stage["x"] + corner[0] * scale, stage["y"] + corner[1] * scale)
    canvas.page.mouse.down()
    canvas.page.mouse.move(stage["x"] + opposite[0] * scale, stage["y"] + opposite[1] * scale, steps=4)
    canvas.page.mouse.up()


def test_hover_enlarges_the_face(panels: Canvas) -> None:
    large = panels.page.locator("[data-refldm=face_picker] canvas.large")
    assert not large.is_visible()
    face(panels, 1).hover()
    large.wait_for(state="visible")
    pixels = large.evaluate("(canvas) => [...canvas.getContext('2d').getImageData(72, 72, 1, 1).data]")
    assert pixels[3] == 255 and sum(pixels[:3]) > 0
    panels.page.mouse.move(5, 990)
    large.wait_for(state="hidden")


def test_box_is_drawn_and_removed(panels: Canvas) -> None:
    draw_box(panels, 1280, (700, 100), (800, 220))
    picture, _, numbers = panels.value("DetectFaces", "added_boxes").partition(": ")
    assert picture == "0"
    assert np.abs(np.array(numbers.split(","), dtype=int) - [700, 100, 100, 120]).max() <= 6
    panels.page.get_by_role("button", name="Remove the added box").click()
    assert panels.value("DetectFaces", "added_boxes") == ""
