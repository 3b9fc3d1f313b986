"""Workflows from before widgets and sockets were renamed still load, and give the same picture."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .comfy import Api, PromptError, Server
from .converting import to_api
from .faces import face_change, photo
from .graphs import with_model_files
from .test_face_workflows import ORDER, adapt_to_toys, run, workflow_server

EARLIER = Path(__file__).parent / "earlier"
__all__ = ["workflow_server"]  # the fixture


def _read(name: str) -> Any:
    return json.loads((EARLIER / name).read_text(encoding="utf-8"))


def _copy_for_toys(api: Api) -> Api:
    return adapt_to_toys(with_model_files(copy.deepcopy(api)))


def _paste_inputs(api: Api) -> dict[str, Any]:
    return next(node["inputs"] for node in api.values() if node["class_type"] == "ReFLDM_PasteFaces")


@pytest.mark.parametrize("number", ["04", "05"])
def test_earlier_workflow_file_keeps_its_values(workflow_server: Server, number: str) -> None:
    """A workflow file identifies the values of widgets only by their order."""
    earlier, api = _read(f"{number}.api.json"), to_api(_read(f"{number}.json"), workflow_server.get("/object_info"))
    paste = _paste_inputs(earlier)
    paste["color_match"] = paste.pop("colour_match")
    assert api == earlier


def test_earlier_widget_name_is_accepted(workflow_server: Server) -> None:
    earlier = _copy_for_toys(_read("04.api.json"))
    pictures = {}
    for color_match in ("wavelet", "none"):
        _paste_inputs(earlier)["colour_match"] = color_match
        renamed = copy.deepcopy(earlier)
        del _paste_inputs(renamed)["colour_match"]
        _paste_inputs(renamed)["color_match"] = color_match
        pictures[color_match] = run(workflow_server, earlier)[0]
        assert np.array_equal(pictures[color_match], run(workflow_server, renamed)[0])
    assert not np.array_equal(pictures["wavelet"], pictures["none"])
    _paste_inputs(earlier)["colour_match"] = "adain"
    with pytest.raises(PromptError, match="adain"):
        workflow_server.run(earlier)


def test_earlier_socket_names_are_accepted(workflow_server: Server) -> None:
    """The graph connects three people one by one."""
    api = _copy_for_toys(_read("05.api.json"))
    match = next(node["inputs"] for node in api.values() if node["class_type"] == "ReFLDM_MatchPeople")
    assert {"person_2", "person_3"} <= set(match)
    after, (report,) = run(workflow_server, api)
    assert [line.rpartition(": ")[2].rpartition(" (")[0] for line in report.splitlines()] == [
        "Cem",
        "Anna",
        "nobody",
        "Ben",
    ]
    before = photo(ORDER)
    assert [face_change(before, after, place) > 5 for place in range(4)] == [True, True, False, True]
    for socket in ("person_2", "person_3"):
        match[f"more_people.{socket}"] = match.pop(socket)
    assert np.array_equal(run(workflow_server, api)[0], after), "a page that adds sockets on demand names them so"
