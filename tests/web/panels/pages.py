"""What the tests of the panels share: the workflow of the group photo, and the faces on the page."""

from __future__ import annotations

from typing import Any

from ..browser import WORKFLOWS, Canvas

GROUP = next(path for path in WORKFLOWS if path.stem.startswith("05"))
NODES = ("DetectFaces", "MatchPeople", "PasteFaces")


def face(canvas: Canvas, number: int) -> Any:
    return canvas.page.get_by_role("option", name=f"Face {number},")


def chosen(canvas: Canvas) -> list[int]:
    """Numbers of the faces that are marked as chosen."""
    options = canvas.page.locator("[data-refldm=face_picker] [role=option]")
    return [i for i in range(options.count()) if options.nth(i).get_attribute("aria-selected") == "true"]
