"""Impose Windows' rules for files on another system, so that operations that fail on Windows fail in the tests.

- `os.fsync` needs a writable handle.
- A file that this process has open or memory-mapped cannot be renamed, replaced or deleted.
- `os.rename` replaces no file.
- Making a symbolic link needs a right that users do not have.

On Windows nothing is changed, since the system has these rules. The list of open files comes from /proc. A system
without /proc (macOS) gets only the other rules.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest

_PROCESS = Path("/proc/self")


def impose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Impose the rules on this process until `monkeypatch` is undone."""
    if sys.platform == "win32":
        return
    import fcntl

    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def strict_fsync(file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        fsync(number)

    def strict_replace(source: Any, target: Any, **folders: Any) -> None:
        _refuse_if_used(source, folders.get("src_dir_fd"))
        _refuse_if_used(target, folders.get("dst_dir_fd"))
        replace(source, target, **folders)

    def strict_rename(source: Any, target: Any, **folders: Any) -> None:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(target))
        strict_replace(source, target, **folders)

    def strict_unlink(path: Any, *, dir_fd: int | None = None) -> None:
        _refuse_if_used(path, dir_fd)
        unlink(path, dir_fd=dir_fd)

    def no_symlink(source: Any, target: Any, *_: Any, **__: Any) -> None:
        raise _windows_error(errno.EPERM, 1314, "A required privilege is not held by the client", target)

    for name, rule in {
        "fsync": strict_fsync,
        "replace": strict_replace,
        "rename": strict_rename,
        "unlink": strict_unlink,
        "remove": strict_unlink,
        "symlink": no_symlink,
    }.items():
        monkeypatch.setattr(os, name, rule)


def mapped_files() -> set[str]:
    """Return the paths of the files that this process has memory-mapped."""
    lines = (_PROCESS / "maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return {fields[5] for line in lines if len(fields := line.split(maxsplit=5)) == 6}


def open_files() -> set[str]:
    """Return the paths of the files that this process has open."""
    paths: set[str] = set()
    for link in (_PROCESS / "fd").iterdir():
        try:
            paths.add(str(link.readlink()))
        except OSError:  # the handle that lists the folder
            continue
    return paths


def _refuse_if_used(path: Any, folder: int | None = None) -> None:
    if not _PROCESS.exists():
        return
    name = os.fsdecode(path)
    target = (Path(name) if folder is None else _PROCESS / "fd" / str(folder) / name).resolve()
    if target.is_file() and str(target) in (mapped_files() | open_files()):
        raise _windows_error(errno.EACCES, 32, "The process cannot access the file because it is being used", path)


def _windows_error(number: int, code: int, reason: str, path: Any) -> OSError:
    error = OSError(number, reason, os.fsdecode(path))
    error.winerror = code  # type: ignore[attr-defined]
    return error
