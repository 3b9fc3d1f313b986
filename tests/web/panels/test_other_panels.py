"""The panels on Match People, Load References and Paste Faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.embedded import needs_embedded
from tests.host.test_saved_people import save_person

from ..browser import WORKFLOWS, Canvas, open_canvas
from ..conftest import View

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_embedded


@pytest.mark.parametrize("device", ["mouse", "touch", "keyboard"])
def test_slider_follows_mouse_touch_and_keyboard(panels: Canvas, device: str) -> None:
    slider = panels.page.get_by_role("slider", name="before")
    slider.wait_for()
    stage = panels.page.locator("[data-refldm=before_after] .stage").bounding_box()
    panels.page.mouse.click(stage["x"] + stage["width"] / 2, stage["y"] + 20)
    assert abs(int(slider.get_attribute("aria-valuenow")) - 50) <= 1
    if device == "mouse":
        panels.page.mouse.down()
        panels.page.mouse.move(stage["x"] + stage["width"] / 4, stage["y"] + 30, steps=3)
        panels.page.mouse.up()
        assert abs(int(slider.get_attribute("aria-valuenow")) - 25) <= 1
    elif device == "touch":
        finger = panels.page.context.new_cdp_session(panels.page)
        for kind, share in (("touchStart", 0.5), ("touchMove", 0.6), ("touchMove", 0.75), ("touchEnd", None)):
            place = {"x": stage["x"] + stage["width"] * (share or 0.0), "y": stage["y"] + 30}
            points = [] if share is None else [place]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        finger.detach()
        assert abs(int(slider.get_attribute("aria-valuenow")) - 75) <= 1
    else:
        for key, value in (("Home", 0), ("ArrowRight", 1), ("PageUp", 11), ("End", 100), ("ArrowLeft", 99)):
            panels.page.keyboard.press(key)
            assert int(slider.get_attribute("aria-valuenow")) == value
    clip = panels.page.locator("[data-refldm=before_after] canvas.before").evaluate(
        "(canvas) => getComputedStyle(canvas).clipPath"
    )
    assert clip.startswith("inset(0")


def test_dragging_a_face_assigns_a_person(panels: Canvas) -> None:
    source = panels.page.get_by_role("button", name="Pick face 1").bounding_box()
    target = panels.page.get_by_role("button", name="Ben,").bounding_box()
    panels.page.mouse.move(source["x"] + 8, source["y"] + 8)
    panels.page.mouse.down()
    panels.page.mouse.move(target["x"] + 8, target["y"] + 8, steps=5)
    panels.page.mouse.up()
    assert panels.value("MatchPeople", "assignments") == "1: Ben"
    panels.page.get_by_role("button", name="Undo all").click()
    assert panels.value("MatchPeople", "assignments") == ""


def test_clicks_assign_a_person(panels: Canvas) -> None:
    panels.page.get_by_role("button", name="Pick face 2").click()
    panels.page.get_by_role("button", name="nobody,").click()
    assert panels.value("MatchPeople", "assignments") == "2: nobody"
    panels.page.get_by_role("combobox", name="Person of face 0").select_option("Cem")
    assert panels.value("MatchPeople", "assignments") == "0: Cem, 2: nobody"
    panels.page.get_by_role("combobox", name="Person of face 0").select_option("")
    assert panels.value("MatchPeople", "assignments") == "2: nobody"


def test_saved_people_are_renamed_and_deleted(view: View, panels: Canvas, browser: Browser) -> None:
    folder = panels.server.base / "models" / "refldm_references"
    for name in ("person", "Ben"):
        save_person(folder / f"{name}.safetensors")
    workflow = next(path for path in WORKFLOWS if path.stem.startswith("03"))
    with open_canvas(browser, panels.server, nodes_2=view.nodes_2) as canvas:
        page = canvas.page
        canvas.load(workflow)
        canvas.show_in_row(("LoadReferences",))
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
        # The browser itself reports the refused request.
        assert [text for text in canvas.own_messages if "400 (Bad Request)" not in text] == []
        (folder / "Anna Lee.safetensors").unlink()


def test_no_preview_of_the_run_hides_the_pictures_of_the_nodes(panels: Canvas) -> None:
    """The page shows a node's last preview in place of the node's own pictures."""
    assert panels.page.evaluate("() => Object.keys(app.nodePreviewImages)") == []
