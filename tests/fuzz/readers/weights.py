"""Model files as tensors by name: .safetensors, archives and legacy pickles of torch.save."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from refldm_core.checkpoints.pickle_names import USUAL_TYPES
from refldm_core.checkpoints.reading import read_tensors

from ..cases import Action, Case, Reader, require
from ..examples import example
from ..mutation import mutate
from .whole_files import file_reader


def read(path: Path) -> str:
    """Read all tensors, and return a hash of them."""
    file = read_tensors(path, copy=True)
    total = hashlib.sha256()
    for name, tensor in sorted(file.tensors.items()):
        require(tensor.dtype in USUAL_TYPES and tensor.layout == torch.strided, f"{name} is {tensor.dtype}")
        require(tensor.numel() * tensor.element_size() <= 5 * path.stat().st_size + (64 << 20), f"{name} is too large")
        total.update(f"{name[:100]!r} {tuple(tensor.shape)} {tensor.dtype}".encode(errors="backslashreplace"))
        total.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return total.hexdigest()


_TYPES = (
    *(torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool),
    *(torch.complex64, torch.float8_e4m3fn, torch.int16, torch.int8),
)
_names = st.one_of(
    st.text(max_size=20), st.sampled_from(["model.diffusion_model.x", "encoder.a", "state_dict", "betas", "a.k", "a.v"])
)


@st.composite
def _tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    kind = draw(st.sampled_from(_TYPES))
    values = draw(st.sampled_from([0.0, 1.0, -1.5, 3e38, float("nan"), float("inf"), 1e-40]))
    if not (kind.is_floating_point or kind.is_complex):
        values = 1.0
    tensor = torch.full(shape, values, dtype=torch.float32).to(kind)
    change = draw(st.sampled_from(["", "", "", "transposed", "part", "expanded", "parameter", "sparse", "shared"]))
    if change == "transposed" and tensor.ndim > 1:
        return tensor.transpose(0, -1)
    if change == "part" and tensor.ndim and tensor.shape[0] > 1:
        return tensor[1:]
    if change == "expanded":
        return tensor.new_ones(1).expand(draw(st.sampled_from([2, 1000, 10**12])))
    if change == "parameter" and kind.is_floating_point:
        return torch.nn.Parameter(tensor)
    if change == "sparse" and kind == torch.float32 and tensor.ndim:
        return tensor.to_sparse()
    return tensor


_plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
_states = st.tuples(
    st.dictionaries(
        st.one_of(_names, st.integers(), st.tuples(st.integers())), st.one_of(_tensors(), _plain), max_size=5
    ),
    st.sampled_from(["zip", "legacy", "safetensors"]),
    st.booleans(),
)


def _prepare_state(case: Case) -> Action:
    state, kind, nested = example(case, _states)
    path = case.folder / "state.ckpt"
    usual = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if kind == "safetensors":
        dense = {name: t for name, t in usual.items() if t.layout == torch.strided and t.numel() < 10**6}
        usual = {name: tensor.detach().clone().contiguous() for name, tensor in dense.items()}
        save_file(usual, path)
    else:
        content = {"state_dict": state} if nested and state else state
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")

    def action() -> None:
        tensors = read_tensors(path, copy=True).tensors
        expected = usual
        inner = usual if not isinstance(state.get("state_dict"), dict) or kind == "safetensors" else None
        if inner is None:
            return
        require(set(tensors) == set(expected), f"names {sorted(tensors)} instead of {sorted(expected)}")
        for name, tensor in tensors.items():
            same = tensor.shape == expected[name].shape and tensor.dtype == expected[name].dtype
            same = same and bool(torch.equal(tensor.nan_to_num(), expected[name].detach().nan_to_num()))
            require(same, f"{name} has other values than were saved")

    return action


_OPCODES = [
    *(b"N", b"\x88", b"]", b"}", b")", b"\x8f", b"(", b"t", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s", b"u", b"R"),
    *(b"b", b"\x81", b"Q", b"0", b"2", b"K\x01", b"M\x10\x27", b"J\xff\xff\xff\x7f", b"G" + b"\x7f\xf0" + bytes(6)),
    *(b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"r\xff\xff\xff\x7f", b"j\x00\x00\x00\x00", b"X\x01\x00\x00\x00w"),
    *(b"X\x07\x00\x00\x00storage", b"X\x01\x00\x00\x000", b"X\x03\x00\x00\x00cpu", b"\x8a\x08" + b"\xff" * 7 + b"\x7f"),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n"),
    *(b"c_codecs\nencode\n", b"cbuiltins\nset\n", b"ctorch\nSize\n", b"cbuiltins\ncomplex\n", b"ctorch\ndevice\n"),
    *(b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch\nFloatTensor\n", b"ctorch._utils\n_rebuild_parameter\n"),
    *(b"\x95" + b"\xff" * 8, b"\x8e" + b"\xff" * 8, b"B\xff\xff\xff\x7f", b"U\x03abc", b"\x8c\x02ab", b"\x94", b"\x93"),
    *(b"I99\n", b"F1.5\n", b"L5L\n", b"P0\n", b"S'a'\n", b"i", b"o", b"d", b"l", b"1", b"g0\n", b"p0\n"),
]
_STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
_TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n("
    + _STORAGE
    + b"K\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtR"
)
_programs = st.lists(
    st.one_of(st.sampled_from(_OPCODES), st.sampled_from([_STORAGE, _TENSOR, b"X\x01\x00\x00\x00w" + _TENSOR + b"s"])),
    max_size=40,
)


def _prepare_program(case: Case) -> Action:
    random = case.random
    if case.number % 2:
        items = b"".join(
            b"X\x01\x00\x00\x00" + name + _TENSOR + b"s" for name in (b"v", b"w", b"x")[: random.randrange(4)]
        )
        program = (
            b"\x80\x02}"
            + (mutate(items, random, b"".join(_OPCODES)) if items and random.random() < 0.8 else items)
            + b"."
        )
    else:
        program = b"\x80\x02" + b"".join(example(case, _programs)) + b"."
    path = case.folder / "program.ckpt"
    if case.number % 3:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", program)
            archive.writestr("archive/data/0", np.arange(4, dtype=np.float32).tobytes())
            archive.writestr("archive/version", b"3\n")
            archive.writestr("archive/byteorder", b"little")
    else:
        parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
        heads = b"".join(pickle.dumps(part, 2) for part in parts)
        numbers = (4).to_bytes(8, "little") + np.arange(4, dtype=np.float32).tobytes()
        path.write_bytes(heads + program + pickle.dumps(["0"], 2) + numbers)
    return lambda: read(path)


READERS = [
    file_reader("safetensors", "weights", "*.safetensors", read, share=20, cut_is_noticed=True),
    file_reader("zip checkpoint", "weights", "*.ckpt", read, share=20, cut_is_noticed=True),
    file_reader("legacy checkpoint", "weights", "*.pth", read, share=20, cut_is_noticed=True),
    Reader("pickle program", _prepare_program, 20, read),
    Reader("state dict", _prepare_state, 15),
]
