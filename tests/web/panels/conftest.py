"""Open a page in which the workflow of the group photo has run, for the tests of the panels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..browser import Canvas
from .pages import GROUP, NODES


@pytest.fixture(scope="module")
def panels(canvas: Canvas) -> Canvas:
    """The page with the panels of the nodes, after a run of the workflow for the group photo."""
    canvas.server.free()  # ComfyUI 0.3.64 sends no pictures of nodes whose results it takes from its cache
    canvas.load(GROUP)
    canvas.set_value("Sampler", "steps", 2)
    canvas.show_in_row(NODES)
    canvas.run()
    canvas.page.get_by_role("listbox", name="Faces").wait_for()
    return canvas


@pytest.fixture(autouse=True)
def reset_widgets(panels: Canvas) -> Iterator[None]:
    """Reset the widgets that panels write to the values of the workflow, and remove the focus."""
    panels.page.evaluate("() => document.activeElement?.blur()")
    panels.set_value("DetectFaces", "select", "all")
    panels.set_value("DetectFaces", "count", 0)
    panels.set_value("DetectFaces", "added_boxes", "")
    panels.set_value("MatchPeople", "assignments", "")
    panels.evaluate("DetectFaces", "node.onConfigure({})")
    panels.evaluate("MatchPeople", "node.onConfigure({})")
    yield
    assert panels.own_messages == []
