"""File names that users type: one name inside one folder, on every operating system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ..refldm_core.errors import OutputError
from ..refldm_core.files import folded, is_hidden, spellings
from ..refldm_core.paths import WINDOWS_DEVICE, require_plain

_LONGEST = 120  # bytes; file systems take 255, and temporary names are longer
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')


def safetensors_name(name: str) -> str:
    """A person's name -> the name of their file.

    Args:
        name: what the user typed; the ending .safetensors may be there or not.

    Raises:
        OutputError: a path instead of a name, or a name that some operating system cannot have.
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
    """The path of a person's file in a folder; errors as `safetensors_name`.

    A name that differs from an existing file's in capitals only means that file on every operating system, as it does
    on Windows and macOS.
    """
    file = safetensors_name(name)
    there = spellings(folder).get(folded(file), [])
    return folder / (there[0] if there and file not in there else file)


def place_of(name: str, places: Sequence[Path]) -> Path:
    """The first of some folders that holds a file or folder of a name from a workflow; else the first of all.

    Raises:
        UnsafePathError: a name that leads out of the folders.
    """
    require_plain(name, "The workflow")
    return next((place for place in places if (place / name).exists()), places[0])


def visible(names: Iterable[str]) -> list[str]:
    """The names without those of hidden files: temporary ones, and what macOS keeps beside files (._a.safetensors)."""
    return [name for name in names if not is_hidden(PurePosixPath(name.replace("\\", "/")))]


def _reason_against(stem: str) -> str:
    if not stem:
        return "it is empty"
    if _FORBIDDEN.search(stem):
        return 'it has one of < > : " / \\ | ? * or a control character'
    if stem.startswith(".") or stem.endswith("."):
        return "it starts or ends with a dot"
    if WINDOWS_DEVICE.fullmatch(stem.partition(".")[0].strip()):
        return "Windows keeps it for a device"
    if len(stem.encode()) > _LONGEST:
        return f"it is longer than {_LONGEST} bytes"
    return ""
