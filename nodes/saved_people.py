"""Saved people, for the gallery in Load References: list, show, rename and delete them."""
# pyright: reportMissingImports=false

from __future__ import annotations

import io
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from ..refldm_core.checkpoints.references import summarize_references
from ..refldm_core.errors import CheckpointError, OutputError, shorten
from ..refldm_core.files import folded, output_error
from ..refldm_core.paths import path_inside, require_plain
from . import host
from .filenames import safetensors_name

_SHOWN = 5
"""Largest number of thumbnails of one person in the gallery."""


def saved_names() -> list[str]:
    """Return the names of the files in the model folder refldm_references."""
    return [name for name in host.files_in(host.REFERENCES) if name.endswith(".safetensors")]


def describe_people() -> list[dict[str, Any]]:
    """Return the name, the number of photos and the model of each file, or the reason why it cannot be read."""
    return [_describe_person(name) for name in saved_names()]


def thumbnail_strip(name: str) -> bytes:
    """Return a person's thumbnails side by side, as a WebP picture.

    Raises:
        CheckpointError: the file does not exist, or holds no thumbnails.
        UnsafePathError: the name leads out of the folder.
    """
    path = _path_to_read(name)
    pictures = summarize_references(path).thumbnails
    if pictures is None:
        raise CheckpointError(
            f"{path.name} holds no thumbnails.",
            expected="a person that was saved with pictures",
            remedy="save the person again with pictures switched on",
        )
    strip = pictures[:_SHOWN].permute(2, 0, 3, 1).flatten(1, 2)  # (height, references * width, 3)
    buffer = io.BytesIO()
    Image.fromarray(strip.numpy()).save(buffer, "webp", quality=85)
    return buffer.getvalue()


def rename_person(name: str, new_name: str) -> str:
    """Rename a person's file within its folder, and return the new name.

    Raises:
        CheckpointError: the file does not exist.
        UnsafePathError: the name leads out of the folder.
        OutputError: the new name is taken, or some operating system does not allow it.
    """
    path = _path_to_change(name)
    target = path_inside(path.parent, safetensors_name(new_name), "The request")
    same_file = folded(target.name) == folded(path.name)  # a change of capitals only
    if not same_file and any(folded(file.name) == folded(target.name) for file in path.parent.iterdir()):
        raise OutputError(
            f"{target.name} exists already.", expected="a new name", remedy="choose another name, or delete that person"
        )
    try:
        path.rename(target)
    except OSError as error:
        raise output_error(target, error) from error
    return str(PurePath(name).with_name(target.name))


def delete_person(name: str) -> None:
    """Delete a person's file for good.

    Raises:
        CheckpointError: the file does not exist.
        UnsafePathError: the name leads out of the folder.
        OutputError: the file cannot be deleted.
    """
    path = _path_to_change(name)
    try:
        path.unlink()
    except OSError as error:
        raise output_error(path, error) from error


def _describe_person(name: str) -> dict[str, Any]:
    try:
        summary = summarize_references(_path_to_read(name))
    except CheckpointError as error:
        return {"name": name, "problem": error.problem}
    return {
        "name": name,
        "photos": summary.count,
        "model": summary.fingerprint,
        "thumbnails": 0 if summary.thumbnails is None else min(_SHOWN, len(summary.thumbnails)),
    }


def _path_to_read(name: str) -> Path:
    path = host.path_in(host.REFERENCES, name)
    if path is None:
        raise CheckpointError(
            f"There is no saved person {shorten(name)}.",
            expected="the name of a file in the model folder refldm_references",
            remedy="press R to refresh the list",
        )
    return path


def _path_to_change(name: str) -> Path:
    """Return the file of a listed name.

    Raises:
        CheckpointError: the file does not exist.
        UnsafePathError: the name, or a symbolic link in it, leads out of the model folder.
    """
    # On Windows the host lists files in subfolders with a backslash.
    plain = require_plain(PurePath(name).as_posix(), "The request")
    path = _path_to_read(name)
    folder = next(folder for folder in host.folders_of(host.REFERENCES) if folder / plain == path)
    return path_inside(folder, plain, "The request")
