"""The panels for people, for saved people, and for the pictures before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.embedded import needs_embedded
from tests.host.test_saved_people import save_person

from ..browser import WORKFLOWS, Canvas, opened
from ..conftest import View

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_embedded


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
