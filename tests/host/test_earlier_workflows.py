"""Workflows from before widgets and sockets got new names: they load, and give the same picture."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .comfy import Api, PromptError, Server
from .converting import to_api
from .faces import changed, photo
from .graphs import with_files
from .test_face_workflows import ORDER, adapted_to_toys, faces, run

EARLIER = Path(__file__).parent / "earlier"
__all__ = ["faces"]  # the fixture


def _read(name: str) -> Any:
    return json.loads((EARLIER / name).read_text(encoding="utf-8"))


def _for_toys(api: Api) -> Api:
    return adapted_to_toys(with_files(copy.deepcopy(api)))


def _paste(api: Api) -> dict[str, Any]:
    return next(node["inputs"] for node in api.values() if node["class_type"] == "ReFLDM_PasteFaces")


@pytest.mark.parametrize("number", ["04", "05"])
def test_a_file_of_the_page_says_what_it_said(faces: Server, number: str) -> None:
    """Its values are told apart by their places alone."""
    earlier, api = _read(f"{number}.api.json"), to_api(_read(f"{number}.json"), faces.get("/object_info"))
    paste = _paste(earlier)
    paste["color_match"] = paste.pop("colour_match")
    assert api == earlier


def test_the_earlier_name_of_a_widget_is_accepted(faces: Server) -> None:
    earlier = _for_toys(_read("04.api.json"))
    pictures = {}
    for how in ("wavelet", "none"):
        _paste(earlier)["colour_match"] = how
        renamed = copy.deepcopy(earlier)
        del _paste(renamed)["colour_match"]
        _paste(renamed)["color_match"] = how
        pictures[how], again = run(faces, earlier)[0], run(faces, renamed)[0]
        assert np.array_equal(pictures[how], again)
    assert not np.array_equal(pictures["wavelet"], pictures["none"])
    _paste(earlier)["colour_match"] = "adain"
    with pytest.raises(PromptError, match="adain"):
        faces.run(earlier)


def test_the_earlier_names_of_sockets_are_accepted(faces: Server) -> None:
    """Three people, connected one by one."""
    api = _for_toys(_read("05.api.json"))
    match = next(node["inputs"] for node in api.values() if node["class_type"] == "ReFLDM_MatchPeople")
    assert {"person_2", "person_3"} <= set(match)
    after, (report,) = run(faces, api)
    assert [line.rpartition(": ")[2].rpartition(" (")[0] for line in report.splitlines()] == [
        "Cem",
        "Anna",
        "nobody",
        "Ben",
    ]
    before = photo(ORDER)
    assert [changed(before, after, place) > 5 for place in range(4)] == [True, True, False, True]
    for socket in ("person_2", "person_3"):
        match[f"more_people.{socket}"] = match.pop(socket)
    assert np.array_equal(run(faces, api)[0], after), "as a page with growing sockets names them"
