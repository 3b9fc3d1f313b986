"""The host's model folders."""
# pyright: reportMissingImports=false

from __future__ import annotations

from pathlib import Path

import folder_paths

from ..filenames import visible

MODELS = "refldm"
REFERENCES = "refldm_references"
"""Names of model folders, also in extra_model_paths.yaml."""


def register_folders() -> None:
    """Make the folders' names known beside those that extra_model_paths.yaml gave; no folder is created."""
    for name in (MODELS, REFERENCES):
        paths = list(folder_paths.folder_names_and_paths.get(name, ([], set()))[0])
        own = str(Path(folder_paths.models_dir) / name)
        # Registered here and not with add_model_folder_path, which filters no file types.
        folder_paths.folder_names_and_paths[name] = (
            [*paths, *([] if own in paths else [own])],
            folder_paths.supported_pt_extensions,
        )


def files_in(folder: str) -> list[str]:
    """Names of the files in a model folder, in every place that it has; hidden files are left out."""
    return visible(folder_paths.get_filename_list(folder))


def path_in(folder: str, name: str) -> Path | None:
    """Path of one of `files_in`; None for any other name, so that no name leads out of the folder."""
    found = folder_paths.get_full_path(folder, name) if name in files_in(folder) else None
    return Path(found) if found else None


def folders_of(folder: str) -> list[Path]:
    """The places of a model folder, the first for new files; they may not exist yet."""
    return [Path(place) for place in folder_paths.get_folder_paths(folder)]


def first_folder(folder: str) -> Path:
    """Where new files of that kind belong; it may not exist yet."""
    return folders_of(folder)[0]


def state_of(path: Path | None) -> str:
    """Changes when the file does, so that ComfyUI does not go on with an older one's content."""
    return "" if path is None else f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}"
