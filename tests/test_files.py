"""Putting files in place, what is said where that fails, and names that Windows and macOS take for one."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

import pytest

from refldm_core import files
from refldm_core.errors import OutputError
from refldm_core.files import atomic_write, folded, output_error, require_writable, spellings


def _error(kind: type[OSError], number: int, code: int) -> OSError:
    """As Windows raises it."""
    error = kind(number, "as Windows says it")
    error.winerror = code  # type: ignore[attr-defined]
    return error


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _fail(monkeypatch: pytest.MonkeyPatch, error: OSError, times: int, function: str = "replace") -> list[float]:
    """Let a function of the module os fail a few times; returns the pauses that are made."""
    real, pauses = getattr(os, function), []

    def failing(*paths: Path) -> None:
        nonlocal times
        times -= 1
        if times >= 0:
            raise error
        real(*paths)

    monkeypatch.setattr(os, function, failing)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("code", [5, 32, 1224])
def test_a_virus_scanner_may_hold_the_file_for_a_moment(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = _fail(monkeypatch, _error(PermissionError, errno.EACCES, code), 2)
    _write(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"
    assert len(pauses) == 2 and sum(pauses) < 1


def test_it_may_hold_the_file_that_tries_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = _fail(monkeypatch, _error(PermissionError, errno.EACCES, 32), 1, "unlink")
    require_writable(tmp_path / "a.txt")
    assert len(pauses) == 1 and not list(tmp_path.iterdir())


def test_a_file_that_stays_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    pauses = _fail(monkeypatch, _error(PermissionError, errno.EACCES, 32), 10)
    with pytest.raises(OutputError, match="cannot be replaced") as caught:
        _write(path, "new")
    assert "close the program" in caught.value.remedy and len(pauses) == 3
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_missing_permission_is_no_file_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = _fail(monkeypatch, PermissionError(errno.EACCES, "Permission denied"), 10)
    with pytest.raises(OutputError, match="cannot be written") as caught:
        _write(tmp_path / "a.txt", "new")
    assert "permissions" in caught.value.remedy and not pauses


@pytest.mark.parametrize("code", [39, 112, 1295])
def test_a_full_disk_of_windows(code: int) -> None:
    assert "no room" in output_error(Path("a.txt"), _error(OSError, errno.EINVAL, code)).problem


def test_a_system_without_an_error_for_quotas(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = errno.EDQUOT
    assert "no room" in output_error(Path("a.txt"), OSError(quota, "quota")).problem
    monkeypatch.delattr(errno, "EDQUOT")
    assert "no room" in output_error(Path("a.txt"), OSError(errno.ENOSPC, "full")).problem
    assert "cannot be written" in output_error(Path("a.txt"), OSError(errno.EIO, "input/output error")).problem


ONE_FILE = [
    ("a.png", "A.PNG"),
    ("\xe9t\xe9.png", "E\u0301TE\u0301.png"),
    ("stra\xdfe", "STRASSE"),
    ("\u03c3", "\u03c2"),
]


@pytest.mark.parametrize(("one", "other"), ONE_FILE)
def test_capitals_and_composition_do_not_count(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    assert folded(unicodedata.normalize("NFD", one)) == folded(unicodedata.normalize("NFC", other))


def test_other_names_stay_apart() -> None:
    names = ["a", "b", "e", "\xe9", "\xe8", "a b", "ab", "a/b"]
    assert len({folded(name) for name in names}) == len(names)


def test_spellings(tmp_path: Path) -> None:
    for name in ("Anna", "ben"):
        (tmp_path / name).touch()
    assert spellings(tmp_path) == {"anna": ["Anna"], "ben": ["ben"]}
    assert spellings(tmp_path / "nowhere") == {}
