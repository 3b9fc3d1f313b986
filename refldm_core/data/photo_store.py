"""The records of a build in one SQLite file. The record of each photo is stored as soon as the photo is read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, cast, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError, SettingsError, shorten
from ..face.identity import Embeddings
from ..paths import require_plain
from .distances import DistanceGraph
from .splits import SPLITS, Split
from .stored_graph import graph_from_bytes, graph_to_bytes

Outcome = Literal["face", "no face", "too small", "several faces", "same pixels", "unreadable"]
"""Result of reading a photo. Only photos with the outcome "face" are used."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS photos (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE NOT NULL, bytes INTEGER NOT NULL, modified INTEGER NOT NULL,
    pixels TEXT NOT NULL, outcome TEXT NOT NULL, note TEXT NOT NULL, faces INTEGER NOT NULL, crop TEXT NOT NULL,
    embedding BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS photos_by_pixels ON photos (pixels);
CREATE TABLE IF NOT EXISTS splits (crop TEXT PRIMARY KEY, split TEXT NOT NULL);
"""
_COLUMNS = "name, bytes, modified, pixels, outcome, note, faces, crop"


@dataclass(frozen=True)
class FileState:
    """Length of a file in bytes, and its time of change in nanoseconds. Where both are equal, the file is unchanged."""

    bytes: int
    modified: int

    @staticmethod
    def of(path: Path) -> FileState:
        """Return the state of a file.

        Raises:
            OSError: the file cannot be examined.
        """
        status = path.stat()
        return FileState(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class PhotoRecord:
    """The record of one photo.

    Attributes:
        name: path of the photo below the folder of photos, with "/".
        state: state of the file when it was read.
        pixels: SHA-256 of the size and the pixels; "" for an unreadable photo.
        outcome: result of reading the photo.
        note: details of the outcome in words; for "same pixels", the name of the original photo.
        faces: number of faces.
        crop: path of the aligned crop below the folder of crops, with "/"; "" where there is none.
    """

    name: str
    state: FileState
    pixels: str
    outcome: Outcome
    note: str = ""
    faces: int = 0
    crop: str = ""


class PhotoStore:
    """The records of one build.

    Args:
        path: SQLite file; created where it is missing.
        settings: settings that the records depend on.

    Raises:
        OutputError: the file cannot be opened, read or written, is damaged, or another process uses it. Every method
            raises this.
        SettingsError: the file was made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self._path = path
        with self._errors():
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA busy_timeout = 2000")
            self._database.executescript(_SCHEMA)
        stored = self._fact("settings")
        if stored is None:
            self._set_fact("settings", json.dumps(dict(settings)).encode())
        elif (earlier := self._settings_of(stored)) != dict(settings):
            self.close()
            raise _other_settings(path, earlier, settings)

    def close(self) -> None:
        with self._errors():
            self._database.close()

    def records(self) -> list[PhotoRecord]:
        """Return all records, in the order in which the photos were first read.

        Raises:
            UnsafePathError: the name of a crop would lead out of the folder of crops.
        """
        with self._errors():
            rows = self._database.execute(f"SELECT {_COLUMNS} FROM photos ORDER BY id").fetchall()
        return [self._record_of(row) for row in rows]

    def _record_of(self, row: tuple[Any, ...]) -> PhotoRecord:
        """Return the record in a row. SQLite does not check the types of values."""
        name, size, modified, pixels, outcome, note, faces, crop = row
        texts_fit = all(isinstance(text, str) for text in (name, pixels, note, crop)) and outcome in get_args(Outcome)
        if not (texts_fit and all(isinstance(number, int) for number in (size, modified, faces))):
            self._refuse(f"the record of {shorten(name)} has a value of another type")
        if crop:
            require_plain(crop, str(self._path))
        return PhotoRecord(name, FileState(size, modified), pixels, outcome, note, faces, crop)

    def put(self, record: PhotoRecord, embedding: NDArray[np.float32] | None = None) -> None:
        """Store a record. It replaces an earlier record of that name, and is on the disk when this returns.

        Args:
            record: record of a photo.
            embedding: (d,) of unit length, for the outcome "face".
        """
        vector = b"" if embedding is None else embedding.astype("<f4").tobytes()
        state = record.state
        values = (record.name, state.bytes, state.modified, record.pixels, record.outcome, record.note, record.faces)
        with self._errors():
            self._database.execute(
                f"INSERT OR REPLACE INTO photos ({_COLUMNS}, embedding) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, record.crop, vector),
            )

    def touch(self, name: str, state: FileState) -> None:
        """Store the new state of a file whose pixels have not changed."""
        with self._errors():
            self._database.execute(
                "UPDATE photos SET bytes = ?, modified = ? WHERE name = ?", (state.bytes, state.modified, name)
            )

    def forget(self, names: Iterable[str]) -> None:
        """Delete records, so that their photos are read again."""
        with self._transaction():
            self._database.executemany("DELETE FROM photos WHERE name = ?", [(name,) for name in names])

    def embeddings(self, names: Sequence[str]) -> tuple[list[str], NDArray[np.int64], Embeddings]:
        """Return the embeddings of photos.

        Args:
            names: names of photos. Those without an embedding are left out.

        Returns:
            The names of the other photos in the order in which they were read, their numbers (n,), and their embeddings
            (n, d) of unit length. A photo that is read again gets a new number.
        """
        requested = set(names)
        with self._errors():
            rows = self._database.execute("SELECT id, name FROM photos WHERE outcome = 'face' ORDER BY id").fetchall()
            chosen = [(number, name) for number, name in rows if name in requested]
            vectors: Embeddings = np.zeros((len(chosen), 0), dtype=np.float32)
            for i, (number, _) in enumerate(chosen):
                blob = self._database.execute("SELECT embedding FROM photos WHERE id = ?", (number,)).fetchone()[0]
                vector = self._vector_of(blob)
                if i == 0:
                    vectors = np.zeros((len(chosen), len(vector)), dtype=np.float32)
                if len(vector) != vectors.shape[1]:
                    self._refuse("its embeddings have different lengths")
                vectors[i] = vector
        return [name for _, name in chosen], np.array([number for number, _ in chosen], dtype=np.int64), vectors

    def graph(self, numbers: NDArray[np.int64], limits: tuple[float, ...]) -> DistanceGraph:
        """Return the stored distances among photos.

        Args:
            numbers: (n,) numbers of the photos.
            limits: distances below which faces are linked.

        Returns:
            The stored graph, if it belongs to the first of these photos and to these limits; else an empty one.
        """
        content = self._fact("graph")
        if content is None:
            return DistanceGraph.empty(limits)
        stored = graph_from_bytes(content, limits) if isinstance(content, bytes) else None
        if stored is None or len(stored[0]) > len(numbers) or (stored[0] != numbers[: len(stored[0])]).any():
            return DistanceGraph.empty(limits)
        return stored[1]

    def keep_graph(self, numbers: NDArray[np.int64], graph: DistanceGraph) -> None:
        """Store the distances among the first `graph.rows` of the photos with these numbers (n,)."""
        self._set_fact("graph", graph_to_bytes(numbers[: graph.rows], graph))

    def splits(self, key: str) -> dict[str, Split]:
        """Return the split of each crop in the last finished build; {} where that build had another key."""
        if self._fact("splits") != key.encode():
            return {}
        with self._errors():
            splits = dict(self._database.execute("SELECT crop, split FROM splits").fetchall())
        if not all(isinstance(crop, str) and split in SPLITS for crop, split in splits.items()):
            self._refuse("a split of it has another name")
        return splits

    def keep_splits(self, key: str, splits: Mapping[str, Split]) -> None:
        """Store the splits of a finished build, with a key that says what they depend on."""
        with self._transaction():
            self._database.execute("DELETE FROM splits")
            self._database.executemany("INSERT INTO splits VALUES (?, ?)", list(splits.items()))
            self._set_fact("splits", key.encode())

    def _settings_of(self, stored: bytes) -> dict[str, str]:
        try:
            settings = json.loads(stored)
        except (ValueError, TypeError, RecursionError):
            settings = None
        if not isinstance(settings, dict):
            self._refuse("its settings cannot be read")
        return cast(dict[str, str], settings)

    def _vector_of(self, blob: object) -> NDArray[np.float32]:
        vector = np.frombuffer(blob, dtype="<f4") if isinstance(blob, bytes) and len(blob) % 4 == 0 else None
        if vector is None or not len(vector) or not np.isfinite(vector).all():
            self._refuse("an embedding of it is damaged")
        return vector

    def _refuse(self, reason: str) -> NoReturn:
        self.close()
        raise OutputError(
            f"{self._path} is damaged: {reason}.",
            expected="the records that a build wrote",
            remedy="choose another --output, where every photo is read again",
        )

    def _fact(self, name: str) -> Any:
        """Return a stored fact, which is bytes unless the file is damaged. None where there is none."""
        with self._errors():
            row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _set_fact(self, name: str, value: bytes) -> None:
        with self._errors():
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self) -> Generator[None, None, None]:
        with self._errors(), self._database:
            self._database.execute("BEGIN")
            yield

    @contextmanager
    def _errors(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(
                f"{self._path} cannot be read or written ({error}).",
                expected="a file of an earlier build that no other process uses, on a disk with free space",
                remedy="wait until another build into this folder ends, free some space, or choose another --output",
            ) from error


def _other_settings(path: Path, earlier: Mapping[str, str], current: Mapping[str, str]) -> SettingsError:
    different = [name for name in current if earlier.get(name) != current[name]]
    return SettingsError(
        f"{path.parent} was built with other settings: "
        + ", ".join(f"{name} {earlier.get(name)}, now {current[name]}" for name in different)
        + ".",
        expected="the settings that its photos were read with",
        remedy="use the same settings, or choose another --output, where every photo is read again",
    )
