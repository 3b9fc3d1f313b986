"""The folder of an unfinished restoration: what was found and restored so far, so that it can go on after a kill."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from ..errors import OutputError, SettingsError
from ..files import atomic_write, clear_temporary_files, make_folder, output_error
from .search import DetectedFaces

_VERSION = 1
_PLAN, _FACES = "plan.json", "faces.json"
_NAMES = re.compile(r"plan\.json|faces\.json|segment_\d{6}\.(nut|safetensors)")


def parts_folder(target: Path) -> Path:
    """Return the folder for the parts of a result."""
    return target.with_name(f"{target.name}.parts")


def require_no_parts(target: Path) -> None:
    """Check that there is no unfinished restoration of a result.

    Raises:
        OutputError: there is one.
    """
    folder = parts_folder(target)
    if (folder / _PLAN).exists():
        raise OutputError(
            f"{folder} holds an unfinished restoration.",
            expected="a new result",
            remedy="add --resume to go on with it, or --overwrite to begin again",
        )


class Parts:
    """The files of an unfinished restoration.

    Args:
        folder: the folder. It is made.
        record: everything that the result depends on: name of a setting -> value for JSON.
        resume: go on with what is in the folder. Else it is deleted.

    Raises:
        SettingsError: the parts in the folder were made with another record.
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, record: Mapping[str, Any], *, resume: bool) -> None:
        self.folder = folder
        plan = {"version": _VERSION, **json.loads(json.dumps(record))}
        stored = self._read(_PLAN) if resume else None
        if stored is None:
            self._clear()
        elif stored != plan:
            names = [name for name in (*plan, *stored) if plan.get(name) != stored.get(name)]
            raise SettingsError(
                f"{folder} was made with {_difference(names[0], stored, plan)}.",
                expected="the same " + ", ".join(dict.fromkeys(names)),
                remedy="use the words of the first run, or --overwrite instead of --resume to begin again",
            )
        make_folder(folder)
        self._write(_PLAN, plan)

    def segment(self, number: int) -> Path:
        """Return the path of a segment's video."""
        return self.folder / f"segment_{number:06}.nut"

    def finished(self) -> int:
        """Return the number of segments that are complete, from the first."""
        count = 0
        while self.segment(count).is_file():
            count += 1
        return count

    def load_faces(self) -> DetectedFaces:
        """Return the faces that were found so far."""
        stored = self._read(_FACES)
        return DetectedFaces() if stored is None else DetectedFaces.from_json(stored)

    def save_faces(self, detected: DetectedFaces) -> None:
        """Keep the faces that were found so far."""
        self._write(_FACES, detected.as_json())

    def load_state(self, number: int) -> dict[str, Tensor]:
        """Return what the segment `number` needs of the one before. The first segment needs nothing.

        Raises:
            OutputError: the file is damaged or missing.
        """
        if number == 0:
            return {}
        path = self._state(number)
        try:
            return load(path.read_bytes())  # a mapped file could not be deleted on Windows
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"{path} cannot be read ({error}).",
                expected="the folder as the first run left it",
                remedy="add --overwrite instead of --resume to begin again",
            ) from error

    def save_state(self, number: int, state: Mapping[str, Tensor]) -> None:
        """Keep what the segment `number` needs, before the segment ahead of it gets its final name."""
        with atomic_write(self._state(number)) as temporary:
            save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, temporary)

    def drop_state(self, number: int) -> None:
        """Delete what a finished segment needed."""
        with suppress(OSError):
            self._state(number).unlink()

    def remove(self) -> None:
        """Delete the files, and the folder where nothing else is in it."""
        self._clear()
        with suppress(OSError):
            self.folder.rmdir()

    def _state(self, number: int) -> Path:
        return self.folder / f"segment_{number:06}.safetensors"

    def _clear(self) -> None:
        if not self.folder.is_dir():
            return
        clear_temporary_files(self.folder, older_than=-1.0)
        try:
            # The plan goes last: without it, a half-cleared folder counts as empty.
            for path in sorted(self.folder.iterdir(), key=lambda path: path.name == _PLAN):
                if _NAMES.fullmatch(path.name):
                    path.unlink()
        except OSError as error:
            raise output_error(self.folder, error) from error

    def _read(self, name: str) -> dict[str, Any] | None:
        """Return the values of a file. None where it is missing or damaged."""
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        with atomic_write(self.folder / name) as temporary:
            temporary.write_text(json.dumps(values), encoding="utf-8")


def _difference(name: str, stored: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """Return how one setting of the first run differs."""
    before, after = (json.dumps(values.get(name)) for values in (stored, plan))
    if max(len(before), len(after)) > 80:
        return f"another {name}"
    return f"the {name} {before}, and this run has {after}"
