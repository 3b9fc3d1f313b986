"""A page in which the workflow of the group photo has run, for the tests of the panels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..browser import Canvas
from .pages import GROUP, NODES


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
