"""A name that a user types becomes one file in one folder, or an error that says why not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .pack import NAME, PACK, load

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
def test_plain_names_become_file_names(typed: str, file: str) -> None:
    assert safetensors_name(typed) == file


PATHS = ["", " ", ".safetensors", ".", "..", "../x", "x/y", "x\\y", "/x", "\\\\server\\x", "C:x", "C:\\x", "a:stream"]
DEVICES = ["CON", "con", "Nul.txt", "aux.", "COM1", "lpt9.x", "COM¹", "CONIN$", "com1 .txt"]
ODD_NAMES = ["a\0b", "a\nb", "what?", "a*", '"a"', "<a>", "a|b", ".hidden", "end.", "x" * 200, "é" * 100]


@pytest.mark.parametrize("typed", [*PATHS, *DEVICES, *ODD_NAMES])
def test_paths_devices_and_odd_names_are_refused(typed: str) -> None:
    with pytest.raises(OutputError, match="cannot be the name of a file"):
        safetensors_name(typed)


@given(st.text())
def test_an_accepted_name_is_one_file_name_on_every_system(typed: str) -> None:
    try:
        name = safetensors_name(typed)
    except (OutputError, UnicodeEncodeError):
        return
    for kind in (PurePosixPath, PureWindowsPath):
        assert kind("folder", name).parent == kind("folder")
        assert kind("folder", name).name == name
    assert not PureWindowsPath(name).is_reserved()


@pytest.mark.parametrize(
    ("existing", "typed", "file"),
    [
        ([], "anna", "anna"),
        (["Anna"], "Anna", "Anna"),
        (["Anna"], "anna", "Anna"),
        (["Ren\xe9"], "RENE\u0301", "Ren\xe9"),
        (["Anna", "Anna 2"], "ANNA 2", "Anna 2"),
        (["Anna"], "Ann", "Ann"),
    ],
)
def test_names_that_differ_in_capitals_name_the_same_file(
    existing: list[str], typed: str, file: str, tmp_path: Path
) -> None:
    for name in existing:
        (tmp_path / f"{name}.safetensors").touch()
    assert filenames.safetensors_path(tmp_path, typed) == tmp_path / f"{file}.safetensors"


def test_an_exact_name_wins_over_one_with_other_capitals(tmp_path: Path) -> None:
    for name in ("Anna", "anna"):  # a folder from Linux may hold both
        (tmp_path / f"{name}.safetensors").touch()
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes both names for one file")
    assert filenames.safetensors_path(tmp_path, "anna").name == "anna.safetensors"


def test_a_folder_may_be_missing(tmp_path: Path) -> None:
    assert filenames.safetensors_path(tmp_path / "new", "Anna") == tmp_path / "new" / "Anna.safetensors"


@pytest.mark.parametrize("name", ["../secret", "/etc", "a/../../b", "C:\\x", "..\\x", "", "a\0b"])
def test_a_name_from_a_workflow_stays_in_the_model_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "secret").mkdir()
    unsafe = load("refldm_core.errors").UnsafePathError
    with pytest.raises(unsafe, match="The workflow names"):
        filenames.place_of(name, [tmp_path / "models"])


def test_the_place_that_holds_the_file_is_found(tmp_path: Path) -> None:
    places = [tmp_path / "a", tmp_path / "b"]
    (tmp_path / "b" / "pack").mkdir(parents=True)
    assert filenames.place_of("pack", places) == tmp_path / "b"
    assert filenames.place_of("nothing.onnx", places) == tmp_path / "a"


def test_hidden_files_are_not_listed() -> None:
    names = ["anna.safetensors", "._anna.safetensors", ".refldm-0123456789ab.part", "sub/.x.part.safetensors"]
    assert filenames.visible_names([*names, ".trash/b.safetensors", "sub\\._c.safetensors", "d/e.f"]) == [
        names[0],
        "d/e.f",
    ]


@pytest.fixture
def host_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A loader of modules of nodes/host, with a stand-in for the host's model folders. All of them are tmp_path."""
    stand_in: Any = ModuleType("folder_paths")
    stand_in.get_folder_paths = lambda folder: [str(tmp_path)]
    stand_in.get_filename_list = lambda folder: sorted(path.name for path in tmp_path.iterdir())
    stand_in.get_full_path = lambda folder, name: str(tmp_path / name)
    package = ModuleType(f"{NAME}.nodes.host")
    package.__path__ = [str(PACK / "nodes" / "host")]  # the real __init__ needs all of ComfyUI
    monkeypatch.setitem(sys.modules, "folder_paths", stand_in)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    for name in ("folders", "face_files"):
        monkeypatch.delitem(sys.modules, f"{package.__name__}.{name}", raising=False)
    return lambda name: load(f"nodes.host.{name}")


def test_model_folders_are_listed_without_hidden_files(host_module: Callable[[str], Any], tmp_path: Path) -> None:
    """Regression: a killed Save References left .x.part.safetensors, and Load References listed it."""
    for name in ("anna.safetensors", ".0123456789ab.part.safetensors", "._anna.safetensors", "a.onnx", "._a.onnx"):
        (tmp_path / name).touch()
    folders = host_module("folders")
    assert folders.files_in("refldm_references") == ["a.onnx", "anna.safetensors"]
    assert folders.path_in("refldm_references", "anna.safetensors") == tmp_path / "anna.safetensors"
    assert folders.path_in("refldm_references", "._anna.safetensors") is None
    assert host_module("face_files").recognizers() == ["a.onnx"]


def test_names_of_face_networks_stay_in_the_model_folder(host_module: Callable[[str], Any], tmp_path: Path) -> None:
    face_files = host_module("face_files")
    assert face_files.face_folder("pack") == tmp_path
    with pytest.raises(load("refldm_core.errors").UnsafePathError):
        face_files.face_folder("../../etc")
