"""Files of face networks in the host's model folders: weights, ONNX files, and folders of insightface packs."""
# pyright: reportMissingImports=false

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..filenames import place_of, visible
from .folders import MODELS


def face_folder(name: str) -> Path:
    """The place of the model folder that holds a file or pack of that name; the first place where none does.

    Raises:
        UnsafePathError: a name that leads out of the folder.
    """
    return place_of(name, [Path(place) for place in folder_paths.get_folder_paths(MODELS)])


def recognizers() -> list[str]:
    """Names of what may hold a recognizer: ONNX files, and folders with some (packs)."""
    found: list[str] = []
    for place in (Path(place) for place in folder_paths.get_folder_paths(MODELS)):
        packs = {path.parent.name for path in place.glob("*/*.onnx")}
        found += sorted(packs) + sorted(path.name for path in place.glob("*.onnx"))
    return list(dict.fromkeys(visible(found)))


def state_of_files(path: Path) -> str:
    """Changes when the file does, or one of a pack's files; "" where there is none."""
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path] if path.exists() else []
    return "\n".join(f"{file} {file.stat().st_mtime_ns} {file.stat().st_size}" for file in files)
