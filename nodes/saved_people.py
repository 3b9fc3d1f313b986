"""The people that Save References kept: listed, shown, renamed and deleted for the gallery in Load References."""
# pyright: reportMissingImports=false

from __future__ import annotations

import io
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from ..refldm_core.checkpoints.references import summarize_references
from ..refldm_core.errors import CheckpointError, OutputError, shortened
from ..refldm_core.files import folded, output_error
from ..refldm_core.paths import path_inside, require_plain
from . import host
from .filenames import safetensors_name

_SHOWN = 5
"""Thumbnails of one person in the gallery."""


def saved_names() -> list[str]:
    """Names of the files in the model folder refldm_references."""
    return [name for name in host.files_in(host.REFERENCES) if name.endswith(".safetensors")]


def describe_people() -> list[dict[str, Any]]:
    """Name, number of photos and model of each file; the reason instead where a file cannot be read."""
    return [_described(name) for name in saved_names()]


def thumbnail_strip(name: str) -> bytes:
    """A person's thumbnails in a row, as a WebP picture.

    Raises:
        CheckpointError: no such file, or none with thumbnails.
        UnsafePathError: a name that leads out of the folder.
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
    written = io.BytesIO()
    Image.fromarray(strip.numpy()).save(written, "webp", quality=85)
    return written.getvalue()


def rename_person(name: str, new_name: str) -> str:
    """Give a person's file another name in the same folder; returns the name.

    Raises:
        CheckpointError: no such file.
        UnsafePathError: a name that leads out of the folder.
        OutputError: the new name is taken, or some operating system cannot have it.
    """
    path = _path_to_change(name)
    target = path_inside(path.parent, safetensors_name(new_name), "The request")
    same_file = folded(target.name) == folded(path.name)  # a change of capitals only
    if not same_file and any(folded(there.name) == folded(target.name) for there in path.parent.iterdir()):
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
        CheckpointError: no such file.
        UnsafePathError: a name that leads out of the folder.
        OutputError: the file cannot be deleted.
    """
    path = _path_to_change(name)
    try:
        path.unlink()
    except OSError as error:
        raise output_error(path, error) from error


def _described(name: str) -> dict[str, Any]:
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
            f"There is no saved person {shortened(name)}.",
            expected="the name of a file in the model folder refldm_references",
            remedy="press R to refresh the list",
        )
    return path


def _path_to_change(name: str) -> Path:
    """The file of a listed name, which no symbolic link of a folder leads out of the model folder."""
    # On Windows the host lists subfolders with a backslash.
    plain = require_plain(PurePath(name).as_posix(), "The request")
    path = _path_to_read(name)
    folder = next(folder for folder in host.folders_of(host.REFERENCES) if folder / plain == path)
    return path_inside(folder, plain, "The request")
