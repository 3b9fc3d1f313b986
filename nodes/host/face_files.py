"""Files of face networks in the host's model folders: weights, ONNX files, and folders with insightface packs."""
# pyright: reportMissingImports=false

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..filenames import place_of, visible_names
from .folders import MODELS


def face_folder(name: str) -> Path:
    """Return the directory of the model folder that holds a file or pack of that name, else the first directory.

    Raises:
        UnsafePathError: the name leads out of the folder.
    """
    return place_of(name, [Path(directory) for directory in folder_paths.get_folder_paths(MODELS)])


def recognizers() -> list[str]:
    """Return the names of ONNX files and of folders with ONNX files (packs): each may hold a recognizer."""
    names: list[str] = []
    for directory in (Path(path) for path in folder_paths.get_folder_paths(MODELS)):
        packs = {path.parent.name for path in directory.glob("*/*.onnx")}
        names += sorted(packs) + sorted(path.name for path in directory.glob("*.onnx"))
    return list(dict.fromkeys(visible_names(names)))


def state_of_files(path: Path) -> str:
    """Return a text that changes when the file, or a file of the pack, changes; "" if there is no file."""
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path] if path.exists() else []
    return "\n".join(f"{file} {file.stat().st_mtime_ns} {file.stat().st_size}" for file in files)
