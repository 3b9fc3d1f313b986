"""Turn names that were read from files into paths that stay in their folder."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from .errors import UnsafePathError, shorten

WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
"""Names that Windows reserves for devices. Only the part of a file's name before its first dot counts."""

_MAX_PART_BYTES, _MAX_PATH_BYTES = 255, 1024  # limits of common file systems
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def path_inside(folder: Path, name: object, source: str) -> Path:
    """Return the path at which to write or delete a file whose name was read from another file. It is inside a folder.

    To read a file, `require_plain` is enough: people keep pictures on another disk and link to them.

    Args:
        folder: The folder that the path must stay in.
        name: Relative path with "/", as the other file has it.
        source: The file and the position that the name was read from, for the message.

    Returns:
        The path. The file may be missing or a link. Replacing or deleting a link does not change its target.

    Raises:
        UnsafePathError: As for `require_plain`. Also if a subfolder is a link to a place outside the folder.
    """
    path = folder / require_plain(name, source)
    try:
        inside = path.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # a loop of links: RuntimeError before Python 3.13
        raise _unsafe_error(name, source, "its folder cannot be resolved") from error
    if not inside:
        raise _unsafe_error(name, source, "a symbolic link leads out of the folder")
    return path


def require_plain(name: object, source: str) -> str:
    """Check that a name from a file is a relative path without "..", on every operating system.

    Args:
        name: The name, with "/" between folders.
        source: The file and the position that the name was read from, for the message.

    Returns:
        The name.

    Raises:
        UnsafePathError: The name is empty, absolute or too long, or has a drive, "..", a backslash or a control
            character. On Windows, also if it is the name of a device.
    """
    if not isinstance(name, str):
        raise _unsafe_error(name, source, "it is not text")
    reason = _reason_to_refuse(name)
    if reason:
        raise _unsafe_error(name, source, reason)
    return name


def _reason_to_refuse(name: str) -> str:
    """Return why a name cannot be used, or "" where it can."""
    parts = PurePosixPath(name).parts
    sizes = [len(part.encode(errors="surrogatepass")) for part in parts]
    is_device = any(WINDOWS_DEVICE.fullmatch(part.partition(".")[0].strip()) for part in parts)
    reasons = {
        "it is empty": not parts,
        "it has a control character": bool(_CONTROL.search(name)),
        "it has a backslash": "\\" in name,
        "it is absolute or has a drive": name.startswith("/") or bool(PureWindowsPath(name).drive),
        "it is too long": max(sizes, default=0) > _MAX_PART_BYTES or sum(sizes) > _MAX_PATH_BYTES,
        # Windows drops dots and spaces at the end of a name, so ".. " means "..".
        "a part of it has only dots": not all(part.rstrip(" .") for part in parts),
        "Windows reserves it for a device or a stream": os.name == "nt" and (is_device or ":" in name),
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _unsafe_error(name: object, source: str, reason: str) -> UnsafePathError:
    return UnsafePathError(
        f"{source} names {shorten(name)}, which cannot be used: {reason}.",
        expected='a file name, or a path below the folder with "/", such as people/anna.png',
        remedy="correct that name; do not use the file if it comes from somebody whom you do not trust",
    )
