"""Names that were read from files -> paths that stay in their folder."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from .errors import UnsafePathError, shortened

WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
"""What Windows gives to devices, whatever follows the first dot of a file's name."""

_LONGEST_PART, _LONGEST_PATH = 255, 1024  # bytes; what usual file systems take
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def path_inside(folder: Path, name: object, source: str) -> Path:
    """Where to write or delete the file that a name from a file means; the place cannot be outside a folder.

    A path to read needs `require_plain` alone: people keep pictures on another disk, behind a symbolic link.

    Args:
        folder: which the path must stay in.
        name: relative path with "/", as the file gives it.
        source: the file and place that the name was read from, for the message.

    Returns:
        The path. The file may be missing, and may itself be a link: replacing or deleting it leaves the link's target
        alone.

    Raises:
        UnsafePathError: see `require_plain`; also a subfolder that is a link to a place outside.
    """
    path = folder / require_plain(name, source)
    try:
        inside = path.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:  # a loop of links: RuntimeError before Python 3.13
        raise _unsafe(name, source, "its folder cannot be resolved") from error
    if not inside:
        raise _unsafe(name, source, "a symbolic link leads out of the folder")
    return path


def require_plain(name: object, source: str) -> str:
    """Check that a name from a file is a relative path without a way up, on every operating system.

    Args:
        name: as the file gives it, with "/" between folders.
        source: the file and place that the name was read from, for the message.

    Returns:
        The name.

    Raises:
        UnsafePathError: an absolute path, a drive, "..", a backslash, a control character, or no name at all.
    """
    if not isinstance(name, str):
        raise _unsafe(name, source, "it is not text")
    reason = _reason_against(name)
    if reason:
        raise _unsafe(name, source, reason)
    return name


def _reason_against(name: str) -> str:
    parts = PurePosixPath(name).parts
    sizes = [len(part.encode(errors="surrogatepass")) for part in parts]
    device = any(WINDOWS_DEVICE.fullmatch(part.partition(".")[0].strip()) for part in parts)
    reasons = {
        "it is empty": not parts,
        "it has a control character": bool(_CONTROL.search(name)),
        "it has a backslash": "\\" in name,
        "it is absolute or has a drive": name.startswith("/") or bool(PureWindowsPath(name).drive),
        "it is too long": max(sizes, default=0) > _LONGEST_PART or sum(sizes) > _LONGEST_PATH,
        # Windows drops dots and spaces at the end: ".. " is "..".
        "a part of it has only dots": not all(part.rstrip(" .") for part in parts),
        "Windows keeps it for a device or a stream": os.name == "nt" and (device or ":" in name),
    }
    return next((reason for reason, true in reasons.items() if true), "")


def _unsafe(name: object, source: str, reason: str) -> UnsafePathError:
    return UnsafePathError(
        f"{source} names {shortened(name)}, which cannot be used: {reason}.",
        expected='a file name, or a path below the folder with "/", such as people/anna.png',
        remedy="correct that name; do not use the file if it is a stranger's",
    )
