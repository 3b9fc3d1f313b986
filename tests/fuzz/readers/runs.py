"""States of interrupted work: the state of a training, and the database of a build."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from refldm_core.data.photo_store import FileState, PhotoRecord, PhotoStore
from refldm_core.training.ema import MovingAverage
from refldm_core.training.run_files import RunState, truncate_log

from ..cases import Action, Case, Reader, require
from ..mutation import cut, mutate

_SETTINGS = {"size": "16"}


def _new_state() -> RunState:
    part = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(part.parameters())
    part(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return RunState([part], [optimizer], {"part": MovingAverage(part, 0.9)}, None)


def read_state(path: Path) -> None:
    """Read the state of a training."""
    state = _new_state()
    step = state.load(path)
    require(0 <= step < 2**31, f"{step} steps")
    tensors = [*state.parts[0].state_dict().values(), *state.averages["part"].state_dict().values()]
    shapes = [tuple(tensor.shape) for tensor in state.parts[0].state_dict().values()]
    require(
        shapes == [(3, 4), (3,)] and all(isinstance(t, (torch.Tensor, int, float, dict)) for t in tensors), "tensors"
    )
    state.parts[0](torch.ones(2, 4)).sum().backward()
    state.optimizers[0].step()


@lru_cache(maxsize=1)
def _saved_state(folder: Path) -> bytes:
    path = folder / "state.pt"
    _new_state().save(path, 7)
    return path.read_bytes()


def _prepare_state(case: Case) -> Action:
    random = case.random
    content = _saved_state(case.seeds.parent)
    path = case.folder / "state.pt"
    if random.random() < 0.5:
        path.write_bytes(cut(content, random) if random.random() < 0.15 else mutate(content, random))
    else:
        state = torch.load(case.seeds.parent / "state.pt", weights_only=True)
        odd = random.choice((None, -1, 10**30, "x", [], {}, float("nan"), torch.ones(2), torch.ones(3, 4).half(), [{}]))
        section = state
        for _ in range(random.choice((1, 1, 2, 3, 4))):
            keys = list(section) if isinstance(section, dict) else list(range(len(section)))
            if not keys:
                break
            key = random.choice(keys)
            if isinstance(section[key], (dict, list)) and random.random() < 0.7:
                section = section[key]
            else:
                section[key] = odd
                break
        torch.save(state, path)
    return lambda: read_state(path)


def read_database(path: Path) -> None:
    """Read the database of a build, as a build that continues it does."""
    store = PhotoStore(path, _SETTINGS)
    try:
        records = store.records()
        for record in records:
            require(isinstance(record.name, str) and isinstance(record.crop, str), f"a record is {record}")
            require(".." not in record.crop, f"the crop {record.crop!r} is accepted")
        _, numbers, vectors = store.embeddings([record.name for record in records])
        require(np.isfinite(vectors).all() and vectors.ndim == 2, "embeddings are not finite")
        graph = store.graph(numbers, (0.5, 0.1))
        require(graph.rows <= len(numbers), "the graph has more rows than faces")
        store.splits("key")
    finally:
        store.close()


@lru_cache(maxsize=1)
def _database(folder: Path) -> Path:
    from refldm_core.data.distances import DistanceGraph

    path = folder / "build.db"
    store = PhotoStore(path, _SETTINGS)
    for i in range(4):
        record = PhotoRecord(f"{i}.png", FileState(10, 20), "a" * 64, "face", "", 1, f"{i}.png")
        store.put(record, np.eye(4, dtype=np.float32)[i])
    store.keep_splits("key", {"0.png": "train"})
    store.keep_graph(np.arange(1, 5), DistanceGraph.empty((0.5, 0.1)))
    store.close()
    return path


def _prepare_database(case: Case) -> Action:
    import sqlite3

    random = case.random
    source, path = _database(case.seeds.parent), case.folder / "build.db"
    shutil.copy(source, path)
    if random.random() < 0.5:
        content = path.read_bytes()
        path.write_bytes(cut(content, random) if random.random() < 0.1 else mutate(content, random))
        return lambda: read_database(path)
    column = random.choice(("name", "bytes", "modified", "pixels", "outcome", "note", "faces", "crop", "embedding"))
    odd = random.choice(
        ("../x", "/etc/passwd", b"", b"abc", b"\xff\xff\xff\x7f" * 4, b"\0" * 12, -1, 2**62, 1.5, "", "x" * 9000)
    )
    database = sqlite3.connect(path, isolation_level=None)
    if random.random() < 0.4:
        fact = random.choice(("settings", "graph", "splits"))
        value = random.choice((odd, b"{", b"[]", b"null", b"[" * 100_000, b"PK\x05\x06" + bytes(18)))
        database.execute("UPDATE facts SET value = ? WHERE name = ?", (value, fact))
    else:
        database.execute(f"UPDATE photos SET {column} = ? WHERE id = 2", (odd,))
    database.close()
    return lambda: read_database(path)


def _prepare_log(case: Case) -> Action:
    path = case.folder / "log.jsonl"
    content = b'{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    path.write_bytes(mutate(content, case.random))
    return lambda: read_log(path)


def read_log(path: Path) -> None:
    """Remove the lines of later steps."""
    truncate_log(path, 2)
    require(len(path.read_text(encoding="utf-8").splitlines()) <= 2, "lines of later steps are left")


READERS = [
    Reader("training state", _prepare_state, 10, read_state),
    Reader("build database", _prepare_database, 10, read_database),
    Reader("training log", _prepare_log, 3, read_log),
]
