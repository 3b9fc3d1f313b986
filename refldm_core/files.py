"""Writing files so that a failure leaves nothing half-written and nothing overwritten."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import time
import unicodedata
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path, PurePath

from .errors import OutputError

_FULL = (39, 112, 1295)
"""Windows' codes for a full disk and for a quota, two of which Python maps to EINVAL."""
_IN_USE = (5, 32, 1224)
"""Windows' codes where a file is open or memory-mapped; 5 also means that the permission is missing."""
_PAUSES = (0.05, 0.2, 0.75)
"""Seconds to wait between attempts at a file in use: virus scanners open new files for a moment."""
_TEMPORARY = re.compile(r"\.refldm-[0-9a-f]{12}\.part|\.[0-9a-f]{12}\.part(\.\w+)?")
"""Names of temporary files; the second form is what earlier versions wrote."""
_DAY = 24 * 60 * 60.0
"""Seconds after which nothing writes to a temporary file any more."""

_cleared: dict[str, float] = {}
"""Folder -> when `clear_temporary_files` last looked into it for `atomic_write`."""


@contextmanager
def atomic_write(path: Path) -> Generator[Path, None, None]:
    """Give a temporary path beside `path`; what was written there takes its place when the block ends well.

    The block must close the temporary file, since Windows does not rename open files. The temporary name is hidden and
    has no ending of a result, so that a file which a killed process leaves is never taken for one. A later write into
    the same folder deletes it once it is older than a day.

    Raises:
        OutputError: the folder is missing or not writable, or the disk is full; `path` is as it was before.
    """
    temporary: Path | None = None
    _clear_daily(path.parent)
    try:
        temporary = _create_beside(path)
        yield temporary
        put_in_place(temporary, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                _patiently(temporary.unlink)


def put_in_place(written: Path, path: Path) -> None:
    """Flush a closed file to the disk and give it its final name, in place of an older file.

    Args:
        written: the complete file, in the same folder as `path`.
        path: the final name.

    Raises:
        OSError: the disk is full, or `path` cannot be replaced.
    """
    with written.open("r+b") as file:  # Windows flushes writable handles only
        os.fsync(file.fileno())  # some file systems report a full disk only here
    _patiently(partial(os.replace, written, path))


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, where there is none.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def require_writable(path: Path) -> None:
    """Find out before long work whether a file can be written at `path`.

    Raises:
        OutputError: it cannot.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder.", expected="a file name", remedy="add a file name to the path")
    try:
        _patiently(_create_beside(path).unlink)
    except OSError as error:
        raise output_error(path, error) from error


def _create_beside(path: Path) -> Path:
    """An empty file of a new name in the same folder, with the usual permissions (mkstemp's would be private)."""
    temporary = path.parent / f".refldm-{secrets.token_hex(6)}.part"
    temporary.touch(exist_ok=False)
    return temporary


def clear_temporary_files(folder: Path, older_than: float = _DAY) -> None:
    """Delete the temporary files that killed processes left in a folder; its subfolders are left alone.

    Args:
        folder: to clear; nothing happens where it cannot be listed.
        older_than: seconds since the last change of a file that is deleted.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                with suppress(OSError):
                    if path.is_file() and time.time() - path.stat().st_mtime > older_than:
                        path.unlink()


def _clear_daily(folder: Path) -> None:
    """Clear a folder unless this process did so within the last day: listing it for every file would be slow."""
    key, moment = os.path.abspath(folder), time.monotonic()  # noqa: PTH100 (resolve fails for loops of links)
    if moment - _cleared.get(key, -_DAY) >= _DAY:
        _cleared[key] = moment
        clear_temporary_files(folder)


def is_regular(path: Path) -> bool:
    """Whether there is a regular file, or a link to one; False for a name that no file can have."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # a loop of links, no permission, too long; NUL
        return False


def is_hidden(path: PurePath) -> bool:
    """Whether a relative path is a hidden file, or in a hidden folder; macOS keeps ._photo.jpg beside photo.jpg."""
    return any(part.startswith(".") for part in path.parts)


def require_regular(path: Path) -> Path:
    """Check that reading a path cannot wait forever: a pipe or a device does.

    Returns:
        The path, which may be missing or a folder; opening it says so.

    Raises:
        OSError: a pipe, a socket or a device; or a name that no file can have.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return path
    except ValueError as error:
        raise OSError(errno.EINVAL, "its name holds a NUL character", str(path)) from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return path


def output_error(path: Path, error: OSError) -> OutputError:
    """The operating system's reason in this package's words."""
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        return OutputError(
            f"The folder {path.parent} does not exist.",
            expected="an existing folder to write to",
            remedy="create it, or choose another --output",
        )
    if error.errno in _no_room() or _windows_code(error) in _FULL:
        return OutputError(
            f"There is no room to write {path} ({error.strerror}). Nothing was left half-written.",
            expected="free space on that disk",
            remedy="free some space, or choose another disk",
        )
    if _windows_code(error) in _IN_USE and path.is_file():
        return OutputError(
            f"{path} cannot be replaced ({error.strerror}). It is as it was before.",
            expected="a file that no program has open, in a folder that you may write to",
            remedy="close the program that uses the file (a viewer, or ComfyUI), or choose another name",
        )
    return OutputError(
        f"{path} cannot be written ({error.strerror or error}).",
        expected="a folder that you may write to",
        remedy="change its permissions, or choose another --output",
    )


def in_unicode(name: str) -> str:
    """A name that text files and databases can hold: bytes that are not UTF-8, which Linux allows, become escapes."""
    return name.encode(errors="backslashreplace").decode()


def folded(name: str) -> str:
    """A form of a name or path in which capitals and the composition of accents do not count.

    Windows and macOS take two names for one file where these are equal (Unicode's canonical caseless matching).
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def spellings(folder: Path) -> dict[str, list[str]]:
    """The names in a folder by their `folded` form; nothing where there is no such folder.

    Raises:
        OutputError: the folder cannot be listed.
    """
    names: dict[str, list[str]] = {}
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            names.setdefault(folded(path.name), []).append(path.name)
    except OSError as error:
        raise output_error(folder, error) from error
    return names


def _patiently(act: Callable[[], None]) -> None:
    """Act on a file, and try again after `_PAUSES` where Windows says that the file is in use."""
    for pause in _PAUSES:
        try:
            return act()
        except PermissionError as error:
            if _windows_code(error) not in _IN_USE:
                raise
            time.sleep(pause)
    return act()


def _no_room() -> set[int]:
    """Error numbers for a full disk; some systems lack the one for quotas."""
    return {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _windows_code(error: OSError) -> int | None:
    """Windows' own code of an error; None on other systems."""
    return getattr(error, "winerror", None)
