"""Names that users type become one file in one folder, or an error that says why not."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .pack import load

filenames = load("nodes.filenames")
safetensors_name = filenames.safetensors_name
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


@pytest.mark.parametrize(
    ("there", "typed", "file"),
    [
        ([], "anna", "anna"),
        (["Anna"], "Anna", "Anna"),
        (["Anna"], "anna", "Anna"),
        (["Ren\xe9"], "RENE\u0301", "Ren\xe9"),
        (["Anna", "Anna 2"], "ANNA 2", "Anna 2"),
        (["Anna"], "Ann", "Ann"),
    ],
)
def test_capitals_name_the_same_file(there: list[str], typed: str, file: str, tmp_path: Path) -> None:
    for name in there:
        (tmp_path / f"{name}.safetensors").touch()
    assert filenames.safetensors_path(tmp_path, typed) == tmp_path / f"{file}.safetensors"


def test_an_exact_name_goes_before_its_twin(tmp_path: Path) -> None:
    for name in ("Anna", "anna"):  # of a folder that came from Linux
        (tmp_path / f"{name}.safetensors").touch()
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes them for one")
    assert filenames.safetensors_path(tmp_path, "anna").name == "anna.safetensors"


def test_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert filenames.safetensors_path(tmp_path / "new", "Anna") == tmp_path / "new" / "Anna.safetensors"
