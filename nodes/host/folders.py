"""The host's model folders."""
# pyright: reportMissingImports=false

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import folder_paths

from ..filenames import visible_names

MODELS = "refldm"
"""Name of the model folder with the networks, also in extra_model_paths.yaml."""
REFERENCES = "refldm_references"
"""Name of the model folder with saved references, also in extra_model_paths.yaml."""


def register_folders() -> None:
    """Register both model folders, besides the paths that extra_model_paths.yaml gives. No folder is created."""
    for name in (MODELS, REFERENCES):
        paths = list(folder_paths.folder_names_and_paths.get(name, ([], set()))[0])
        own = str(Path(folder_paths.models_dir) / name)
        # The host's add_model_folder_path is not used, since it does not filter file types.
        folder_paths.folder_names_and_paths[name] = (
            [*paths, *([] if own in paths else [own])],
            folder_paths.supported_pt_extensions,
        )


def files_in(folder: str) -> list[str]:
    """Return the names of the files in all directories of a model folder, without hidden files."""
    return visible_names(folder_paths.get_filename_list(folder))


def path_in(folder: str, name: str) -> Path | None:
    """Return the path of a file that `files_in` lists. Another name gives None, so no name leads out of the folder."""
    path = folder_paths.get_full_path(folder, name) if name in files_in(folder) else None
    return Path(path) if path else None


def folders_of(folder: str) -> list[Path]:
    """Return the directories of a model folder, which may not exist yet. New files belong into the first one."""
    return [Path(directory) for directory in folder_paths.get_folder_paths(folder)]


def first_folder(folder: str) -> Path:
    """Return the directory for new files of a model folder, which may not exist yet."""
    return folders_of(folder)[0]


def state_of(path: Path | None) -> str:
    """Return a text that changes when the file changes, so that ComfyUI loads the file again; "" for None."""
    return "" if path is None else f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}"


@contextmanager
def temporary_folder() -> Generator[Path, None, None]:
    """Give a new folder among the host's temporary files. It is deleted at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="refldm_", dir=_temporary_files(), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def temporary_file(ending: str) -> Path:
    """Return the path of a new file among the host's temporary files, which the host deletes when it starts."""
    handle, name = tempfile.mkstemp(ending, "refldm_", _temporary_files())
    os.close(handle)
    return Path(name)


def _temporary_files() -> Path:
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder
