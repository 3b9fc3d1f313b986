"""The workflow of the group photo, and how to find its faces on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..browser import WORKFLOWS, Canvas

if TYPE_CHECKING:
    from playwright.sync_api import Locator

GROUP = next(path for path in WORKFLOWS if path.stem.startswith("05"))
NODES = ("DetectFaces", "MatchPeople", "PasteFaces")


def face(canvas: Canvas, number: int) -> Locator:
    """Return the element of a face in the face picker."""
    return canvas.page.get_by_role("option", name=f"Face {number},")


def selected_faces(canvas: Canvas) -> list[int]:
    """Return the numbers of the faces that the face picker marks as selected."""
    options = canvas.page.locator("[data-refldm=face_picker] [role=option]")
    return [i for i in range(options.count()) if options.nth(i).get_attribute("aria-selected") == "true"]
