"""The records of a build come from a file that somebody may have damaged."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refldm_core.data.distances import BINS, DistanceGraph
from refldm_core.data.photo_store import FileState, PhotoRecord, PhotoStore
from refldm_core.data.stored_graph import graph_from_bytes, graph_to_bytes
from refldm_core.errors import OutputError

SETTINGS = {"size": "16"}
LIMITS = (0.5, 0.1)
NUMBERS = np.arange(1, 4)
GRAPH = DistanceGraph(3, LIMITS, (np.array([[0, 1], [1, 2]]), np.zeros((0, 2), np.int64)), np.ones(BINS, np.int64))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The records of three photos."""
    path = tmp_path / "build.sqlite"
    store = PhotoStore(path, SETTINGS)
    for i in range(3):
        record = PhotoRecord(f"{i}.png", FileState(10, 20), "a" * 64, "face", "", 1, f"{i}.png")
        store.put(record, np.eye(4, dtype=np.float32)[i])
    store.keep_splits("key", {"0.png": "train"})
    store.keep_graph(NUMBERS, GRAPH)
    store.close()
    return path


def change(path: Path, command: str, *values: Any) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(command, values)
    database.close()


def read_all(path: Path) -> DistanceGraph:
    store = PhotoStore(path, SETTINGS)
    try:
        _, numbers, _ = store.embeddings([record.name for record in store.records()])
        store.splits("key")
        return store.graph(numbers, LIMITS)
    finally:
        store.close()


def test_a_graph_is_read_as_it_was_stored(path: Path) -> None:
    graph = read_all(path)
    assert graph.rows == 3 and graph.limits == LIMITS
    assert all((a == b).all() for a, b in zip(graph.forests, GRAPH.forests, strict=True))
    assert (graph.histogram == GRAPH.histogram).all()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("name", b"abc", "another type"),
        ("outcome", "unknown", "another type"),
        ("faces", "many", "another type"),
        ("crop", b"../x", "another type"),
        ("embedding", "text", "an embedding of it is damaged"),
        ("embedding", b"abc", "an embedding of it is damaged"),
        ("embedding", b"", "an embedding of it is damaged"),
        ("embedding", np.full(4, np.nan, np.float32).tobytes(), "an embedding of it is damaged"),
        ("embedding", np.ones(5, np.float32).tobytes(), "different lengths"),
    ],
)
def test_damaged_records_are_refused(column: str, value: Any, message: str, path: Path) -> None:
    change(path, f"UPDATE photos SET {column} = ? WHERE id = 2", value)
    with pytest.raises(OutputError, match=message) as caught:
        read_all(path)
    assert caught.value.remedy and str(path) in caught.value.problem


@pytest.mark.parametrize("value", [b"{", b"[]", 5, b"[" * 100_000])
def test_damaged_settings_are_refused(value: Any, path: Path) -> None:
    change(path, "UPDATE facts SET value = ? WHERE name = 'settings'", value)
    with pytest.raises(OutputError, match="its settings cannot be read"):
        read_all(path)


def test_an_unknown_split_is_refused(path: Path) -> None:
    change(path, "UPDATE splits SET split = 'other'")
    with pytest.raises(OutputError, match="a split of it"):
        read_all(path)


def _compressed() -> bytes:
    file = io.BytesIO()
    zeros = {"numbers": NUMBERS, "limits": np.array(LIMITS), "forest_0": np.zeros((10**6, 2), np.int64)}
    np.savez_compressed(file, histogram=np.zeros(BINS, np.int64), forest_1=np.zeros((0, 2), np.int64), **zeros)
    return file.getvalue()


def _with(**changes: Any) -> bytes:
    values = {"rows": 3, "limits": LIMITS, "forests": GRAPH.forests, "histogram": GRAPH.histogram} | changes
    return graph_to_bytes(NUMBERS, DistanceGraph(**values))


DAMAGED_GRAPHS: dict[str, Any] = {
    "text": "text",
    "no archive": b"abc",
    "an empty archive": b"PK\5\6" + bytes(18),
    "pickle": np.array([object()]).dumps(),
    "compressed": _compressed(),
    "links to other faces": _with(forests=(np.array([[0, 7]]), GRAPH.forests[1])),
    "links below 0": _with(forests=(np.array([[0, -1]]), GRAPH.forests[1])),
    "links of fractions": _with(forests=(np.array([[0.5, 1.0]]), GRAPH.forests[1])),
    "a short histogram": _with(histogram=np.zeros(3, np.int64)),
}


@pytest.mark.parametrize("kind", DAMAGED_GRAPHS)
def test_a_damaged_graph_is_computed_again(kind: str, path: Path) -> None:
    change(path, "UPDATE facts SET value = ? WHERE name = 'graph'", DAMAGED_GRAPHS[kind])
    assert read_all(path).rows == 0


def test_a_graph_of_other_limits_is_not_used() -> None:
    assert graph_from_bytes(graph_to_bytes(NUMBERS, GRAPH), (0.5, 0.2)) is None
