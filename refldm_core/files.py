"""Write files so that a failure leaves no half-written file and overwrites nothing."""

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

_DISK_FULL_CODES = (39, 112, 1295)
"""Windows' error codes for a full disk and for a quota. Python maps two of them to EINVAL."""
_IN_USE_CODES = (5, 32, 1224)
"""Windows' error codes for a file that is open or memory-mapped. Code 5 also means a missing permission."""
_PAUSES = (0.05, 0.2, 0.75)
"""Seconds to wait between attempts at a file in use. Virus scanners open new files for a moment."""
_TEMPORARY_NAME = re.compile(r"\.refldm-[0-9a-f]{12}\.part|\.[0-9a-f]{12}\.part(\.\w+)?")
"""Names of temporary files. Earlier versions wrote the second form."""
_DAY = 24 * 60 * 60.0
"""Seconds after which no process writes to a temporary file any more."""

_last_cleared: dict[str, float] = {}
"""Folder -> time at which `atomic_write` last cleared its temporary files."""


@contextmanager
def atomic_write(path: Path) -> Generator[Path, None, None]:
    """Yield a temporary path beside `path`. If the block ends without an error, the temporary file replaces `path`.

    The block must close the temporary file, since Windows cannot rename open files. A killed process leaves its
    temporary file. The name of that file is hidden and has no result's ending, so nobody mistakes it for a result.
    A later write to the same folder deletes it when it is older than a day.

    Raises:
        OutputError: The folder is missing or not writable, or the disk is full. `path` is unchanged.
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
                _retry_while_in_use(temporary.unlink)


def put_in_place(written: Path, path: Path) -> None:
    """Flush a closed file to the disk, and rename it to its final name. It replaces an existing file.

    Args:
        written: Path of the complete file, in the same folder as `path`.
        path: The final path.

    Raises:
        OSError: The disk is full, or `path` cannot be replaced.
    """
    with written.open("r+b") as file:  # Windows flushes writable handles only
        os.fsync(file.fileno())  # some file systems report a full disk only here
    _retry_while_in_use(partial(os.replace, written, path))


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where they are missing.

    Raises:
        OutputError: A folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def require_writable(path: Path) -> None:
    """Check before long work that a file can be written at `path`.

    Raises:
        OutputError: It cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder.", expected="the path of a file", remedy="add a file name to the path")
    try:
        _retry_while_in_use(_create_beside(path).unlink)
    except OSError as error:
        raise output_error(path, error) from error


def _create_beside(path: Path) -> Path:
    """Create an empty file with a new name in the same folder. It has the usual permissions; mkstemp's is private."""
    temporary = path.parent / f".refldm-{secrets.token_hex(6)}.part"
    temporary.touch(exist_ok=False)
    return temporary


def clear_temporary_files(folder: Path, older_than: float = _DAY) -> None:
    """Delete the temporary files that killed processes left in a folder. Subfolders are not searched.

    Args:
        folder: The folder. Nothing happens where it cannot be listed.
        older_than: Least age in seconds of a file to delete, since its last change.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY_NAME.fullmatch(path.name):
                with suppress(OSError):
                    if path.is_file() and time.time() - path.stat().st_mtime > older_than:
                        path.unlink()


def _clear_daily(folder: Path) -> None:
    """Clear a folder at most once a day in this process. Listing the folder for every file would be slow."""
    key, current = os.path.abspath(folder), time.monotonic()  # noqa: PTH100 (resolve fails for loops of links)
    if current - _last_cleared.get(key, -_DAY) >= _DAY:
        _last_cleared[key] = current
        clear_temporary_files(folder)


def is_regular(path: Path) -> bool:
    """Whether a path is a regular file or a link to one. A name that no file can have gives False."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # a loop of links, no permission, a name that is too long or has a NUL
        return False


def is_hidden(path: PurePath) -> bool:
    """Whether a relative path is a hidden file or in a hidden folder. macOS writes ._photo.jpg beside photo.jpg."""
    return any(part.startswith(".") for part in path.parts)


def require_regular(path: Path) -> Path:
    """Refuse a pipe or a device, which could block a reader forever.

    Returns:
        The path. It may be missing or a folder. Opening it then raises the usual error.

    Raises:
        OSError: The path is a pipe, a socket or a device, or a name that no file can have.
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
    """Return the error of this package for an error of the operating system while writing."""
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        return OutputError(
            f"The folder {path.parent} does not exist.",
            expected="an existing folder to write to",
            remedy="create it, or choose another --output",
        )
    if error.errno in _disk_full_numbers() or _windows_code(error) in _DISK_FULL_CODES:
        return OutputError(
            f"There is no room to write {path} ({error.strerror}). Nothing was left half-written.",
            expected="free space on that disk",
            remedy="free some space, or choose another disk",
        )
    if _windows_code(error) in _IN_USE_CODES and path.is_file():
        return OutputError(
            f"{path} cannot be replaced ({error.strerror}). It is unchanged.",
            expected="a file that no program has open, in a folder that you may write to",
            remedy="close the program that uses the file (a viewer, or ComfyUI), or choose another name",
        )
    return OutputError(
        f"{path} cannot be written ({error.strerror or error}).",
        expected="a folder that you may write to",
        remedy="change its permissions, or choose another --output",
    )


def in_unicode(name: str) -> str:
    """Return a name that text files and databases can hold.

    Linux allows names with bytes that are not UTF-8. Such bytes become escapes.
    """
    return name.encode(errors="backslashreplace").decode()


def folded(name: str) -> str:
    """Return a form of a name or path that ignores its case and the composition of its accents.

    On Windows and macOS two names with the same form are the same file (Unicode's canonical caseless matching).
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def spellings(folder: Path) -> dict[str, list[str]]:
    """Return the names in a folder, grouped by their `folded` form. A missing folder has no names.

    Raises:
        OutputError: The folder cannot be listed.
    """
    names: dict[str, list[str]] = {}
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            names.setdefault(folded(path.name), []).append(path.name)
    except OSError as error:
        raise output_error(folder, error) from error
    return names


def _retry_while_in_use(action: Callable[[], None]) -> None:
    """Run an action on a file. Where Windows says that the file is in use, try again after `_PAUSES`."""
    for pause in _PAUSES:
        try:
            return action()
        except PermissionError as error:
            if _windows_code(error) not in _IN_USE_CODES:
                raise
            time.sleep(pause)
    return action()


def _disk_full_numbers() -> set[int]:
    """Return the error numbers for a full disk. Some systems lack the number for quotas."""
    return {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def _windows_code(error: OSError) -> int | None:
    """Return Windows' own code of an error, or None on other systems."""
    return getattr(error, "winerror", None)
