"""Names that users type become one file in one folder, or an error that says why not."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .pack import load

safetensors_name = load("nodes.filenames").safetensors_name
OutputError = load("refldm_core.errors").OutputError


@pytest.mark.parametrize(
    ("typed", "file"),
    [
        ("Anna", "Anna.safetensors"),
        (" anna_2024 ", "anna_2024.safetensors"),
        ("anna.safetensors", "anna.safetensors"),
        ("Zoë van der Berg", "Zoë van der Berg.safetensors"),
        ("v1.5", "v1.5.safetensors"),
        ("console", "console.safetensors"),
    ],
)
def test_plain_names(typed: str, file: str) -> None:
    assert safetensors_name(typed) == file


PATHS = ["", " ", ".safetensors", ".", "..", "../x", "x/y", "x\\y", "/x", "\\\\server\\x", "C:x", "C:\\x", "a:stream"]
DEVICES = ["CON", "con", "Nul.txt", "aux.", "COM1", "lpt9.x", "COM¹", "CONIN$", "com1 .txt"]
OTHERS = ["a\0b", "a\nb", "what?", "a*", '"a"', "<a>", "a|b", ".hidden", "end.", "x" * 200, "é" * 100]


@pytest.mark.parametrize("typed", [*PATHS, *DEVICES, *OTHERS])
def test_refused(typed: str) -> None:
    with pytest.raises(OutputError, match="cannot be the name of a file"):
        safetensors_name(typed)


@given(st.text())
def test_what_is_accepted_is_one_name_everywhere(typed: str) -> None:
    try:
        name = safetensors_name(typed)
    except (OutputError, UnicodeEncodeError):
        return
    for kind in (PurePosixPath, PureWindowsPath):
        assert kind("folder", name).parent == kind("folder")
        assert kind("folder", name).name == name
    assert not PureWindowsPath(name).is_reserved()
