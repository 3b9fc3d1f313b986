"""Saved references of a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import save_file

from refldm_core.checkpoints.references import load_references, save_references, summarize_references

from ..cases import Action, Case, Reader, require
from ..examples import example
from .whole_files import file_reader


def read(path: Path) -> str:
    """Read the references, save and read them again, and return a text that tells them apart."""
    stored = load_references(path)
    kv = stored.references
    require(all(tensor.isfinite().all() for tensor in kv.tensors), "keys or values are not finite")
    require(1 <= kv.count <= 10_000 and all(1 <= side <= 1024 for side in kv.latent_size), "a number is out of range")
    require(len(stored.names) in (0, kv.count) and all(isinstance(name, str) for name in stored.names), "names")
    summary = summarize_references(path)
    require((summary.count, summary.fingerprint) == (kv.count, kv.fingerprint), "the summary differs")
    copy = path.with_name("again.safetensors")
    if path.parent.name != "references":  # the seed files' folder stays as it is
        save_references(stored, copy, torch.float32)
        again = load_references(copy)
        copy.unlink()
        require(again.names == stored.names and again.references.count == kv.count, "saved again, it is another one")
        pairs = zip(again.references.tensors, kv.tensors, strict=True)
        require(all(torch.equal(a, b.float()) for a, b in pairs), "saved again, its values differ")
    return f"{kv.count} {kv.latent_size} {kv.fingerprint} {stored.names} {[t.tolist() for t in kv.tensors]}"


_numbers: st.SearchStrategy[Any] = st.one_of(
    st.integers(-2, 5),
    st.sampled_from([2, 2, 2, 10**30, 1.5, float("nan"), "2", "1e3", None, True, [], {}, "x" * 5000]),
)
_SOUND = {"version": 1, "count": 2, "latent_size": [2, 2], "fingerprint": "abc", "names": ["a", "b"]}
_changes = st.dictionaries(
    st.sampled_from(["version", "count", "latent_size", "fingerprint", "names"]),
    st.one_of(_numbers, st.lists(_numbers, max_size=3), st.text(max_size=10)),
    max_size=2,
)
_shapes = st.one_of(st.just([2, 8, 4]), st.lists(st.sampled_from([0, 1, 2, 3, 8]), max_size=4))
_files = st.tuples(
    _changes,
    st.sampled_from(["", "", "", "", "version", "count", "latent_size", "fingerprint", "names"]),
    st.lists(
        st.tuples(st.sampled_from(["a.k", "a.v", "b.k", "thumbnails", "latents", ".k", ".v", "x"]), _shapes), max_size=4
    ),
    st.sampled_from([torch.float16, torch.float32, torch.uint8, torch.int64]),
    st.sampled_from([0.5, 0.5, 0.5, float("nan"), float("inf")]),
    st.sampled_from(["", "", "", "", "", "", "", "[" * 100_000, "null", "[]", '{"version": 1e999}', "{"]),
)


def _prepare(case: Case) -> Action:
    changes, left_out, shapes, kind, value, text = example(case, _files)
    path = case.folder / "person.safetensors"
    tensors = {"a.k": torch.ones(2, 8, 4), "a.v": torch.ones(2, 8, 4)} if case.number % 10 else {}
    for name, shape in shapes:
        tensors[name] = torch.full(shape, value if kind.is_floating_point else 1, dtype=kind)
    description = {name: entry for name, entry in (_SOUND | changes).items() if name != left_out}
    save_file(tensors, path, {"refldm.references": text or json.dumps(description)})
    return lambda: read(path)


READERS = [
    file_reader("references", "references", "*.safetensors", read, share=15, cut_is_noticed=True),
    Reader("references metadata", _prepare, 15),
]
