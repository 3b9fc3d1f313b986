"""Pickles that would take gigabytes or hours, and unusual tensors, are refused before memory is allocated for them."""

from __future__ import annotations

import collections
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from refldm_core.checkpoints.reading import read_tensors
from refldm_core.errors import CheckpointError, UnsafeCheckpointError

from ..old_torch import TORCH_2_4

ROOT = Path(__file__).parents[2]
Write = Callable[[Path], None]
Change = Callable[[str, bytes], tuple[str, bytes]]
WEIGHT = torch.arange(50_000, dtype=torch.float32)


def _save(content: object) -> Write:
    return lambda path: torch.save(content, path)


def _save_legacy(content: object) -> Write:
    return lambda path: torch.save(content, path, _use_new_zipfile_serialization=False)


class Call:
    """An object whose pickle is a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _nested(depth: int) -> Any:
    value: Any = ()
    for _ in range(depth):
        value = (value, value)  # hashing or printing it visits 2**depth values
    return value


def _rewrite(change: Callable[[str, bytes], tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Write:
    """Return a writer of an archive of torch.save with changed entries."""

    def write(path: Path) -> None:
        torch.save({"weight": WEIGHT}, path)
        with zipfile.ZipFile(path) as archive:
            entries = [change(name, archive.read(name)) for name in archive.namelist()]
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in entries:
                archive.writestr(name, content)

    return write


def _pickled(content: bytes, method: int = zipfile.ZIP_STORED) -> Write:
    """Return a writer of an archive with another pickle."""
    return _rewrite(lambda name, old: (name, content if name.endswith("data.pkl") else old), method)


def _with_count(numel: int) -> Write:
    """Return a writer of an archive whose pickle states more numbers than the archive has."""
    true_count, count = b"M" + (50_000).to_bytes(2, "little"), b"J" + numel.to_bytes(4, "little")
    return _rewrite(lambda name, data: (name, data.replace(true_count, count) if name.endswith("data.pkl") else data))


def _write_equal_names(path: Path) -> None:
    """Write an archive with two entries whose names differ only in case."""
    torch.save({"weight": WEIGHT}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0].upper(), b"")


_NESTED_KEY = pickle.dumps({"w": 1}, 2).replace(b"X\x01\x00\x00\x00w", pickle.dumps(_nested(40), 2)[2:-1])
_BUILTIN = b"c__builtin__\nbytearray\n"
HOSTILE: dict[str, tuple[Write, str]] = {
    "stride 0": (_save({"w": WEIGHT[:1].expand(10**6, 10**4)}), "has 50,000 numbers in the file"),
    "stride 0, legacy": (_save_legacy({"w": WEIGHT[:1].expand(10**6, 10**4)}), "has 50,000 numbers in the file"),
    "overlap": (_save({"w": WEIGHT.as_strided((20_000, 20_000), (1, 1))}), "has 50,000 numbers in the file"),
    "views of one storage": (_save({str(i): WEIGHT.view(50_000) for i in range(2000)}), "many times more numbers"),
    "beyond the storage": (_with_count(60_000), "60,000 numbers under 0, and there are not"),
    "bytearray": (_pickled(b"\x80\x02" + _BUILTIN + b"\x8a\x05\x00\xe4\x0bT\x02\x85R."), "builtins.bytearray"),
    "storage class": (_save({"w": Call(torch.UntypedStorage, 10**10)}), "something else than dense tensors"),
    "tensor class": (_save({"w": Call(torch.FloatTensor, 10**9)}), "something else than dense tensors"),
    "codec": (_save({"w": Call(__import__("_codecs").encode, "a", "utf-32")}), "something else than dense tensors"),
    "deflated": (_pickled(b"\x80\x02" + b"]" * 30_000_000 + b".", zipfile.ZIP_DEFLATED), "are compressed"),
    "many steps": (_pickled(b"\x80\x02" + b"]0" * 1_500_000 + b"]."), "instruction POP"),
    "many lists": (_pickled(b"\x80\x02" + b"]" * 5_000_000 + b"."), "more than 1,000,000 steps"),
    "long pickle": (_pickled(b"\x80\x02" + b"]" * 40_000_000 + b"."), "bytes besides the numbers"),
    "huge memo": (_pickled(b"\x80\x02}r\xff\xff\xff\xff."), ""),
    "frame": (_pickled(b"\x80\x05\x96" + (10**10).to_bytes(8, "little") + b"."), "damaged"),
    "slow key": (_save({Call(collections.OrderedDict): 1, "w": WEIGHT}), "keys that are neither text nor numbers"),
    "nested key": (_pickled(_NESTED_KEY), "keys that are neither text nor numbers"),
    "sparse": (_save({"w": torch.eye(3).to_sparse()}), "_rebuild_sparse_tensor"),
    "sparse rows": (_save({"w": torch.eye(3).to_sparse_csr()}), "_rebuild_sparse_tensor"),
    "meta": (_save({"w": torch.empty(10**6, 10**6, device="meta")}), "_rebuild_meta_tensor"),
    "quantized": (_save({"w": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)}), "_rebuild_qtensor"),
    "nested": (_save({"w": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}), "something else than dense"),
    "complex": (_save({"w": torch.ones(3, dtype=torch.complex64)}), "numbers of an unusual kind"),
    "float8": (_save({"w": torch.ones(3).to(torch.float8_e4m3fn)}), "_rebuild_tensor_v3"),
    "equal names": (_write_equal_names, "two entries of one name"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hostile")
    paths = {case: folder / f"{i}.ckpt" for i, case in enumerate(HOSTILE)}
    for case, (write, _) in HOSTILE.items():
        write(paths[case])
    return paths


_MEASURE = """
import json, resource, sys, time
from pathlib import Path
import torch
from refldm_core.checkpoints.reading import read_tensors
from refldm_core.errors import CheckpointError
resource.setrlimit(resource.RLIMIT_AS, (24 << 30, 24 << 30))
torch.save({"w": torch.ones(3)}, sys.argv[1])
read_tensors(Path(sys.argv[1]))
for path in sys.argv[2:]:
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        tensors = {n: t.clone() for n, t in read_tensors(Path(path)).tensors.items()}
        outcome = f"{len(tensors)} tensors"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    tensors = {}
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(json.dumps([outcome, time.monotonic() - begin, growth]), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in bytes on macOS, and Windows has none")
def test_time_and_memory_are_bounded(files: dict[str, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MEASURE, str(tmp_path / "small.ckpt"), *map(str, files.values())]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    measurements = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(measurements) == len(files), process.stderr[-2000:]
    for (case, path), (outcome, seconds, growth) in zip(files.items(), measurements, strict=True):
        assert outcome.startswith(("CheckpointError", "0 tensors")), (case, outcome[:500])
        assert seconds < 20.0, (case, seconds)
        assert growth < path.stat().st_size + (300 << 20), (case, growth)


@pytest.mark.parametrize("case", [case for case, (_, message) in HOSTILE.items() if message])
def test_hostile_files_are_refused(case: str, files: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match=HOSTILE[case][1]) as caught:
        read_tensors(files[case])
    assert caught.value.expected and caught.value.remedy and len(str(caught.value)) < 1000


def test_functions_of_torch_are_refused_as_code(tmp_path: Path) -> None:
    torch.save({"w": Call(torch.hub.load, "a/b", "c")}, tmp_path / "evil.ckpt")
    with pytest.raises(UnsafeCheckpointError, match=r"asks to run code .*it names torch\.hub\.load"):
        read_tensors(tmp_path / "evil.ckpt")


@pytest.mark.skipif(TORCH_2_4, reason="the loader of torch 2.4 refuses sets, bytes and complex numbers")
def test_the_content_of_usual_checkpoints_is_accepted(tmp_path: Path) -> None:
    """The checkpoint holds what training frameworks put beside the weights, in both formats."""
    linear = torch.nn.Linear(3, 4)
    module = torch.nn.Sequential(linear, torch.nn.BatchNorm1d(4))
    shared = linear.weight.detach()
    content = {
        "state_dict": {
            **module.state_dict(),
            "parameter": linear.bias,
            "transposed": shared.T,
            "part": shared[1:3],
            "again": shared,
            "empty": torch.zeros(0, 3),
            "scalar": torch.tensor(2.5, dtype=torch.float64),
            **{
                str(dtype): torch.ones(2).to(dtype)
                for dtype in (torch.float16, torch.bfloat16, torch.int64, torch.bool)
            },
        },
        "module": module.state_dict(),
        "epoch": 3,
        "hyper_parameters": {
            "a": [1, 2.5, None, True, (1, "b")],
            7: {"x"},
            "bytes": b"abc",
            "size": torch.Size([1, 2]),
        },
        "milestones": collections.Counter({1: 2}),
        "device": torch.device("cpu"),
        "type": torch.float32,
        "complex": 1j,
    }
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.ckpt"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        tensors = read_tensors(path).tensors
        assert tensors.keys() == content["state_dict"].keys()  # type: ignore[attr-defined]
        assert all(torch.equal(t, content["state_dict"][n]) for n, t in tensors.items())  # type: ignore[index]


def test_a_legacy_file_whose_numbers_have_another_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "legacy.pth"
    torch.save({"weight": WEIGHT}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    key = str(WEIGHT.untyped_storage()._cdata).encode()
    assert content.count(key) == 2, "the name of the numbers, in the pickle and before the numbers"
    path.write_bytes(content.replace(key, b"7" * len(key), 1))
    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(path)


def test_a_length_beyond_the_end_of_a_legacy_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.pth"
    _save_legacy({"weight": WEIGHT})(path)
    length = (2**45).to_bytes(8, "little")  # 32 TiB
    signature = path.read_bytes()[:15]  # the first pickle: the magic number
    path.write_bytes(signature + pickle.PROTO + b"\x02" + pickle.BINUNICODE8 + length + b"x" * 100)
    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(path)
