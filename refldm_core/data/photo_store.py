"""What a build knows of each photo already, in one SQLite file: every photo is kept as soon as it is done."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError, SettingsError
from ..face.identity import Embeddings
from ..paths import require_plain
from .distances import DistanceGraph
from .splits import Split

Outcome = Literal["face", "no face", "too small", "several faces", "same pixels", "unreadable"]
"""What became of a photo; only one with a "face" is used."""

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
    """By what an unchanged file is recognized: its length in bytes, and when it was changed, in nanoseconds."""

    bytes: int
    modified: int

    @staticmethod
    def of(path: Path) -> FileState:
        """Raises: OSError."""
        status = path.stat()
        return FileState(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class PhotoRecord:
    """What is known of one photo.

    Attributes:
        name: path below the folder, with "/".
        state: of the file when it was read.
        pixels: SHA-256 of its size and pixels; "" for an unreadable one.
        outcome: what became of it.
        note: in words, what is worth saying of the outcome; the other photo's name for "same pixels".
        faces: how many were found.
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
        path: of the SQLite file; made where there is none.
        settings: what the records depend on. A store that was made with others is refused.

    Raises:
        OutputError: it cannot be opened, read or written, or another process uses it. Every method raises this.
        SettingsError: the store was made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self._path = path
        with self._errors():
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA busy_timeout = 2000")
            self._database.executescript(_SCHEMA)
        made_with = self._fact("settings")
        if made_with is None:
            self._set_fact("settings", json.dumps(dict(settings)).encode())
        elif (earlier := cast(dict[str, str], json.loads(made_with))) != dict(settings):
            self.close()
            raise _other_settings(path, earlier, settings)

    def close(self) -> None:
        with self._errors():
            self._database.close()

    def records(self) -> list[PhotoRecord]:
        """All, in the order in which they were first read.

        Raises:
            UnsafePathError: a crop whose name would lead out of the folder of crops.
        """
        with self._errors():
            rows = self._database.execute(f"SELECT {_COLUMNS} FROM photos ORDER BY id").fetchall()
        return [
            PhotoRecord(
                name,
                FileState(size, modified),
                pixels,
                outcome,
                note,
                faces,
                "" if crop == "" else require_plain(crop, str(self._path)),
            )
            for name, size, modified, pixels, outcome, note, faces, crop in rows
        ]

    def put(self, record: PhotoRecord, embedding: NDArray[np.float32] | None = None) -> None:
        """Keep a record, in place of an earlier one of that name. It is on the disk when this returns.

        Args:
            record: of a photo.
            embedding: (d,) of unit length, for a "face".
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
        """The file is another one with the same pixels."""
        with self._errors():
            self._database.execute(
                "UPDATE photos SET bytes = ?, modified = ? WHERE name = ?", (state.bytes, state.modified, name)
            )

    def forget(self, names: Iterable[str]) -> None:
        """Drop records; those photos will be read again."""
        with self._transaction():
            self._database.executemany("DELETE FROM photos WHERE name = ?", [(name,) for name in names])

    def embeddings(self, names: Sequence[str]) -> tuple[list[str], NDArray[np.int64], Embeddings]:
        """Embeddings of the photos with these names that have one.

        Returns:
            Their names in the order in which they were read, their numbers (n,), which a photo that is read again
            does not keep, and (n, d) of unit length.
        """
        wanted = set(names)
        with self._errors():
            found = self._database.execute("SELECT id, name FROM photos WHERE outcome = 'face' ORDER BY id").fetchall()
            kept = [(number, name) for number, name in found if name in wanted]
            vectors: Embeddings = np.zeros((len(kept), 0), dtype=np.float32)
            for i, (number, _) in enumerate(kept):
                blob = self._database.execute("SELECT embedding FROM photos WHERE id = ?", (number,)).fetchone()[0]
                vector = np.frombuffer(blob, dtype="<f4")
                if i == 0:
                    vectors = np.zeros((len(kept), len(vector)), dtype=np.float32)
                vectors[i] = vector
        return [name for _, name in kept], np.array([number for number, _ in kept], dtype=np.int64), vectors

    def graph(self, numbers: NDArray[np.int64], limits: tuple[float, ...]) -> DistanceGraph:
        """What is known of the distances among photos.

        Args:
            numbers: (n,) of the photos.
            limits: distances.

        Returns:
            The graph of the first of them, of none where those known are others or have other limits.
        """
        content = self._fact("graph")
        if content is None:
            return DistanceGraph.empty(limits)
        with np.load(io.BytesIO(content)) as arrays:
            known: NDArray[np.int64] = arrays["numbers"]
            same = len(known) <= len(numbers) and bool((known == numbers[: len(known)]).all())
            if not same or tuple(arrays["limits"].tolist()) != limits:
                return DistanceGraph.empty(limits)
            forests = tuple(arrays[f"forest_{i}"] for i in range(len(limits)))
            return DistanceGraph(len(known), limits, forests, arrays["histogram"])

    def keep_graph(self, numbers: NDArray[np.int64], graph: DistanceGraph) -> None:
        """Keep what is known of the distances among the first `graph.rows` of these photos (n,)."""
        file = io.BytesIO()
        forests = {f"forest_{i}": forest for i, forest in enumerate(graph.forests)}
        arrays: dict[str, Any] = {"numbers": numbers[: graph.rows], "limits": np.array(graph.limits), **forests}
        np.savez(file, histogram=graph.histogram, **arrays)
        self._set_fact("graph", file.getvalue())

    def splits(self, key: str) -> dict[str, Split]:
        """Split of each crop in the last build that ended; {} where that was made with another key."""
        if self._fact("splits") != key.encode():
            return {}
        with self._errors():
            return dict(self._database.execute("SELECT crop, split FROM splits").fetchall())

    def keep_splits(self, key: str, splits: Mapping[str, Split]) -> None:
        """Keep the splits of a build that ended, under a key that says what they depend on."""
        with self._transaction():
            self._database.execute("DELETE FROM splits")
            self._database.executemany("INSERT INTO splits VALUES (?, ?)", list(splits.items()))
            self._set_fact("splits", key.encode())

    def _fact(self, name: str) -> bytes | None:
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
                expected="the records of an earlier build that no other process uses, on a disk with free space",
                remedy="wait until another build into this folder ends, free some space, or choose another --output",
            ) from error


def _other_settings(path: Path, earlier: Mapping[str, str], now: Mapping[str, str]) -> SettingsError:
    different = [name for name in now if earlier.get(name) != now[name]]
    return SettingsError(
        f"{path.parent} was built with other settings: "
        + ", ".join(f"{name} {earlier.get(name)}, now {now[name]}" for name in different)
        + ".",
        expected="the settings that the photos there were read with",
        remedy="give the same ones, or choose another --output: every photo has to be read again",
    )
