"""Read the tensors of model files without running any code that a file asks for."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError
from ..files import require_regular
from ..out_of_memory import is_out_of_memory
from .pickle_errors import unsafe_error
from .pickle_names import USUAL_TYPES
from .pickles import check_legacy, check_zip

_MAX_HEADER_BYTES = 16 << 20  # the official model needs less than a megabyte


@dataclass(frozen=True)
class TensorFile:
    """The content of a model file.

    Attributes:
        path: Path of the file.
        format: "safetensors" or "pickle" (any file of torch.save).
        tensors: Name -> tensor on the CPU. Where the file has a nested `state_dict`, they are its tensors. They may be
            views of the memory-mapped file. Windows cannot replace or delete the file while such a view exists.
        metadata: Texts of a safetensors header. Empty for pickles.
    """

    path: Path
    format: Literal["safetensors", "pickle"]
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_tensors(path: Path, *, copy: bool = False, only: Container[str] | None = None) -> TensorFile:
    """Read a .safetensors file or a pickled checkpoint. The content decides the format, not the file's name.

    Args:
        path: Path of the file.
        copy: Whether to copy the tensors out of the file, so that it can be replaced while they are in use.
        only: Names of the tensors to read from a .safetensors file. None reads all tensors.

    Raises:
        UnsafeCheckpointError: A pickle names code. The code was not run.
        CheckpointError: The file is missing, empty, truncated or no model file. Or its tensors are of an unusual kind,
            or larger than their numbers in the file.
    """
    file = _read(path, only)
    return replace(file, tensors={name: tensor.clone() for name, tensor in file.tensors.items()}) if copy else file


def _read(path: Path, only: Container[str] | None) -> TensorFile:
    head = _head(path)
    if head[8:9] == b"{":
        return _read_safetensors(path, only)
    if head.startswith((b"PK\x03\x04", b"\x80")):
        return _read_pickle(path, zipped=head.startswith(b"PK"))
    raise CheckpointError(
        f"{path} is not a model file{_guess_kind(head)}.",
        expected="a .ckpt, .pt or .pth file of torch.save, or a .safetensors file",
        remedy="get the file again; `refldm download` fetches the official ones and checks them",
    )


def _head(path: Path) -> bytes:
    try:
        with require_regular(path).open("rb") as file:
            head = file.read(64)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"There is no file {path}.",
            expected="a model file",
            remedy="check the path, or run `refldm download` for the official files",
        ) from error
    except IsADirectoryError as error:
        raise CheckpointError(
            f"{path} is a folder.", expected="a model file", remedy="name a file in that folder"
        ) from error
    except OSError as error:  # on Windows, also for a folder
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}).", expected="a readable file", remedy="check its permissions"
        ) from error
    if not head:
        raise CheckpointError(f"{path} is empty.", expected="a model file", remedy="get the file again")
    return head


def _guess_kind(head: bytes) -> str:
    """Return what a file looks like, for a message. Return "" where nothing is known."""
    if head.startswith(b"version https://git-lfs"):
        return ": it is a Git LFS pointer, which only names the real file"
    if head.lstrip().startswith(b"<"):
        return ": it looks like a web page, so the download went wrong"
    return ""


def _read_safetensors(path: Path, only: Container[str] | None) -> TensorFile:
    with path.open("rb") as opened_header:
        header = int.from_bytes(opened_header.read(8), "little")
    if header > _MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} has a header of {header:,} bytes.",
            expected=f"at most {_MAX_HEADER_BYTES:,} bytes with the names and shapes of the tensors",
            remedy="get the file again",
        )
    try:
        opened: Any = safe_open(path, framework="pt", device="cpu")
        with opened as file:
            names: list[str] = [name for name in file.keys() if only is None or name in only]  # noqa: SIM118
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
            return _require_usual_types(TensorFile(path, "safetensors", tensors, dict(file.metadata() or {})))
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        if is_out_of_memory(error):
            raise
        raise _damaged_error(path, error) from error


def _read_pickle(path: Path, *, zipped: bool) -> TensorFile:
    try:
        (check_zip if zipped else check_legacy)(path)
        # mmap reads only what is used. A training checkpoint holds several copies of the weights.
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _unpickling_error(path, error) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        raise _damaged_error(path, error) from error
    except (zipfile.BadZipFile, StopIteration, AssertionError) as error:  # torch asserts that each number is used
        raise _damaged_error(path, error) from error
    state = _as_dict(content)
    if state is not None:
        state = _as_dict(state.get("state_dict")) or state
    if state is None:
        raise CheckpointError(
            f"{path} holds a {type(content).__name__}.",
            expected="a dictionary of named tensors (a state dict)",
            remedy="use a published file of ReF-LDM, or a file that `refldm convert` wrote",
        )
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    return _require_usual_types(TensorFile(path, "pickle", tensors, {}))


def _require_usual_types(file: TensorFile) -> TensorFile:
    """Return the file if all its tensors have usual types."""
    for name, tensor in file.tensors.items():
        if tensor.dtype not in USUAL_TYPES or tensor.layout != torch.strided or tensor.is_meta:
            raise CheckpointError(
                f"The tensor {name[:200]} in {file.path} has the type {tensor.dtype}.",
                expected="floating-point numbers of 16, 32 or 64 bits, or whole numbers",
                remedy="convert the original checkpoint with `refldm convert`",
            )
    return file


def _as_dict(content: Any) -> dict[Any, Any] | None:
    return cast(dict[Any, Any], content) if isinstance(content, dict) else None


def _unpickling_error(path: Path, error: pickle.UnpicklingError) -> CheckpointError:
    name = re.search(r"(?:GLOBAL|class|function) ([\w.]*\w)", str(error))
    return _damaged_error(path, error) if name is None else unsafe_error(path, name[1])


def _damaged_error(path: Path, error: Exception) -> CheckpointError:
    # torch writes a paragraph of advice before its reason. The advice would be wrong here.
    reason = (str(error).split("WeightsUnpickler error:")[-1].strip() or type(error).__name__).splitlines()[0]
    return CheckpointError(
        f"{path} is damaged or cut short ({reason[:200]}).",
        expected="a complete model file",
        remedy="get the file again; `refldm download` continues a download that broke off",
    )
