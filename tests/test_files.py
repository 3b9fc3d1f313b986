"""Files are put in place atomically, failures are explained, and names of one file on Windows and macOS are equal."""

from __future__ import annotations

import errno
import os
import time
import unicodedata
from pathlib import Path

import pytest

from refldm_core import files
from refldm_core.errors import OutputError
from refldm_core.files import atomic_write, folded, output_error, require_writable, spellings


def _windows_error(kind: type[OSError], number: int, code: int) -> OSError:
    error = kind(number, "a reason of Windows")
    error.winerror = code  # type: ignore[attr-defined]
    return error


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _fail(monkeypatch: pytest.MonkeyPatch, error: OSError, times: int, function: str = "replace") -> list[float]:
    """Let a function of the module os fail a few times. Return the list to which each pause will be added."""
    original, pauses = getattr(os, function), []

    def failing(*paths: Path) -> None:
        nonlocal times
        times -= 1
        if times >= 0:
            raise error
        original(*paths)

    monkeypatch.setattr(os, function, failing)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("code", [5, 32, 1224])
def test_a_file_that_a_virus_scanner_holds_for_a_moment_is_replaced(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = _fail(monkeypatch, _windows_error(PermissionError, errno.EACCES, code), 2)
    _write(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"
    assert len(pauses) == 2 and sum(pauses) < 1


def test_a_virus_scanner_may_hold_the_file_of_the_writability_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = _fail(monkeypatch, _windows_error(PermissionError, errno.EACCES, 32), 1, "unlink")
    require_writable(tmp_path / "a.txt")
    assert len(pauses) == 1 and not list(tmp_path.iterdir())


def test_a_file_that_stays_in_use_is_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    pauses = _fail(monkeypatch, _windows_error(PermissionError, errno.EACCES, 32), 10)
    with pytest.raises(OutputError, match="cannot be replaced") as caught:
        _write(path, "new")
    assert "close the program" in caught.value.remedy and len(pauses) == 3
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("a.txt", "old")]


def test_a_missing_permission_is_not_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = _fail(monkeypatch, PermissionError(errno.EACCES, "Permission denied"), 10)
    with pytest.raises(OutputError, match="cannot be written") as caught:
        _write(tmp_path / "a.txt", "new")
    assert "permissions" in caught.value.remedy and not pauses


@pytest.mark.parametrize("code", [39, 112, 1295])
def test_a_full_disk_on_windows_is_recognized(code: int) -> None:
    assert "no room" in output_error(Path("a.txt"), _windows_error(OSError, errno.EINVAL, code)).problem


def test_a_full_disk_is_recognized_on_systems_without_an_error_for_quotas(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = errno.EDQUOT
    assert "no room" in output_error(Path("a.txt"), OSError(quota, "quota")).problem
    monkeypatch.delattr(errno, "EDQUOT")
    assert "no room" in output_error(Path("a.txt"), OSError(errno.ENOSPC, "full")).problem
    assert "cannot be written" in output_error(Path("a.txt"), OSError(errno.EIO, "input/output error")).problem


SAME_FILE = [
    ("a.png", "A.PNG"),
    ("\xe9t\xe9.png", "E\u0301TE\u0301.png"),
    ("stra\xdfe", "STRASSE"),
    ("\u03c3", "\u03c2"),
]


@pytest.mark.parametrize(("name", "spelling"), SAME_FILE)
def test_case_and_composition_of_accents_are_ignored(name: str, spelling: str) -> None:
    assert folded(name) == folded(spelling)
    assert folded(unicodedata.normalize("NFD", name)) == folded(unicodedata.normalize("NFC", spelling))


def test_different_names_stay_different() -> None:
    names = ["a", "b", "e", "\xe9", "\xe8", "a b", "ab", "a/b"]
    assert len({folded(name) for name in names}) == len(names)


def test_spellings_groups_the_names_in_a_folder(tmp_path: Path) -> None:
    for name in ("Anna", "ben"):
        (tmp_path / name).touch()
    assert spellings(tmp_path) == {"anna": ["Anna"], "ben": ["ben"]}
    assert spellings(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("name", ["a.png", "a.safetensors", "a.csv", "a"])
def test_a_temporary_file_is_hidden_and_has_no_ending_of_a_result(name: str, tmp_path: Path) -> None:
    """A killed process leaves its temporary file, which nobody should mistake for a result."""
    with atomic_write(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".refldm-") and temporary.suffix == ".part"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def _write_aged(path: Path, hours: float) -> Path:
    """Create an empty file whose last change was some hours ago."""
    path.touch()
    change_time = time.time() - hours * 3600.0
    os.utime(path, (change_time, change_time))
    return path


def test_temporary_files_of_killed_processes_are_deleted_after_a_day(tmp_path: Path) -> None:
    temporary = [_write_aged(tmp_path / name, 25) for name in (".refldm-0123456789ab.part", ".0123456789ab.part.png")]
    remaining = {
        _write_aged(tmp_path / ".refldm-ba9876543210.part", 23),  # another process may still write it
        _write_aged(tmp_path / "model.ckpt.part", 50),  # a download that a later call continues
        _write_aged(tmp_path / ".refldm-notes.part", 50),
        _write_aged(tmp_path / ".0123456789ab.png", 50),
    }
    (tmp_path / ".refldm-aaaaaaaaaaaa.part").mkdir()
    _write(tmp_path / "a.txt", "new")
    assert not any(path.exists() for path in temporary)
    assert all(path.exists() for path in remaining) and (tmp_path / ".refldm-aaaaaaaaaaaa.part").is_dir()


def test_a_folder_is_cleared_at_most_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing a folder of 100,000 crops for each of them would take most of the time."""
    cleared: list[Path] = []
    monkeypatch.setattr(files, "clear_temporary_files", cleared.append)
    for name in ("a", "b", "c"):
        _write(tmp_path / name, "x")
    assert cleared == [tmp_path]
    start = time.monotonic()
    monkeypatch.setattr(files.time, "monotonic", lambda: start + 25 * 3600)
    _write(tmp_path / "a", "y")
    assert cleared == [tmp_path] * 2
