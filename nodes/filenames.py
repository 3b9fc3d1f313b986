"""Checks of file names that users type: a name is one file in one folder on every operating system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ..refldm_core.errors import OutputError
from ..refldm_core.files import folded, is_hidden, spellings
from ..refldm_core.paths import WINDOWS_DEVICE, require_plain

_LONGEST = 120  # bytes; file systems allow 255, but temporary names are longer than the final ones
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def safetensors_name(name: str) -> str:
    """Return the name of a person's file.

    Args:
        name: The name that the user typed, with or without the ending .safetensors.

    Raises:
        OutputError: it is a path instead of a name, or some operating system does not allow the name.
    """
    stem = name.strip().removesuffix(".safetensors").strip()
    reason = _reason_against(stem)
    if reason:
        raise OutputError(
            f'"{name}" cannot be the name of a file: {reason}.',
            expected="a plain name such as Anna or anna_2024, without a folder",
            remedy="choose another name",
        )
    return f"{stem}.safetensors"


def safetensors_path(folder: Path, name: str) -> Path:
    """Return the path of a person's file in a folder.

    If the name differs from the name of an existing file in capitals only, it means that file. Windows and macOS do
    the same.

    Raises:
        OutputError: `safetensors_name` refuses the name.
    """
    file = safetensors_name(name)
    existing = spellings(folder).get(folded(file), [])
    return folder / (existing[0] if existing and file not in existing else file)


def place_of(name: str, places: Sequence[Path]) -> Path:
    """Return the first of the places that holds a file or folder of that name, else the first place.

    Args:
        name: A name from a workflow.
        places: Folders, at least one.

    Raises:
        UnsafePathError: the name leads out of the folders.
    """
    require_plain(name, "The workflow")
    return next((place for place in places if (place / name).exists()), places[0])


def visible_names(names: Iterable[str]) -> list[str]:
    """Return the names that are not hidden. Temporary files and macOS's extra files (._a.safetensors) are hidden."""
    return [name for name in names if not is_hidden(PurePosixPath(name.replace("\\", "/")))]


def _reason_against(stem: str) -> str:
    if not stem:
        return "it is empty"
    if _FORBIDDEN.search(stem):
        return 'it contains one of < > : " / \\ | ? * or a control character'
    if stem.startswith(".") or stem.endswith("."):
        return "it starts or ends with a dot"
    if WINDOWS_DEVICE.fullmatch(stem.partition(".")[0].strip()):
        return "Windows reserves it for a device"
    if len(stem.encode()) > _LONGEST:
        return f"it is longer than {_LONGEST} bytes"
    return ""
