"""Writing files so that a failure leaves nothing half-written and nothing overwritten."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError


@contextmanager
def atomic_write(path: Path) -> Generator[Path, None, None]:
    """Give a temporary path beside `path`; what was written there takes its place when the block ends well.

    Raises:
        OutputError: the folder is missing or not writable, or the disk is full; `path` is as it was before.
    """
    temporary: Path | None = None
    try:
        temporary = _create_beside(path)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # some file systems report a full disk only here
        os.replace(temporary, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def require_writable(path: Path) -> None:
    """Find out before long work whether a file can be written at `path`.

    Raises:
        OutputError: it cannot.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder.", expected="a file name", remedy="add a file name to the path")
    try:
        _create_beside(path).unlink()
    except OSError as error:
        raise output_error(path, error) from error


def _create_beside(path: Path) -> Path:
    """An empty file of a new name in the same folder, with the usual permissions (mkstemp's would be private)."""
    # The same ending, which tells Pillow the format.
    temporary = path.parent / f".{secrets.token_hex(6)}.part{path.suffix}"
    temporary.touch(exist_ok=False)
    return temporary


def output_error(path: Path, error: OSError) -> OutputError:
    """The operating system's reason in this package's words."""
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        return OutputError(
            f"The folder {path.parent} does not exist.",
            expected="an existing folder to write to",
            remedy="create it, or choose another --output",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"There is no room to write {path} ({error.strerror}). Nothing was left half-written.",
            expected="free space on that disk",
            remedy="free some space, or choose another disk",
        )
    return OutputError(
        f"{path} cannot be written ({error.strerror or error}).",
        expected="a folder that you may write to",
        remedy="change its permissions, or choose another --output",
    )
