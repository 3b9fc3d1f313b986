"""Follow the instructions of a pickle without making any of its objects."""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping
from mmap import mmap
from pathlib import Path
from typing import IO, Any, cast

from ..ranges import Range
from .pickle_errors import refused_error, unsafe_error, unusual_error
from .pickle_names import ITEM_BYTES, is_allowed, is_unusual

MAX_BYTES = 32 << 20
"""Most bytes of a pickle's instructions. The tensors' numbers lie outside them."""
_MAX_STEPS = 1_000_000  # instructions; the official file has about 60,000
_MAX_REPEATS = 4  # how often tensors may use the file's numbers; the official file uses the first stage's three times
_EXTRA_BYTES = 64 << 20  # allowed in addition, so that small files may repeat their numbers more often


class _Name(str):
    """A name in the pickle: a module, a dot, and a function or class of that module."""


class _Container:
    """Stand-in for a list, dictionary or set. `plain` tells that all its items can be hashed in little time."""

    __slots__ = ("kind", "plain")

    def __init__(self, kind: str, *, plain: bool = True) -> None:
        self.kind = kind
        self.plain = plain


class _Storage:
    """Stand-in for a storage: the numbers of one or more tensors."""

    def __init__(self, count: int, item_bytes: int) -> None:
        self.count = count
        self.item_bytes = item_bytes


_TENSOR = object()
"""Stand-in for a tensor or a parameter."""
_OTHER = object()
"""Stand-in for any other object."""


class DryRun:
    """A run through the instructions of a pickle, with stand-ins for the objects.

    Args:
        path: Path of the file, for messages.
        stored_bytes: Returns the bytes that the file has for the storage of a key.

    Attributes:
        storages: Key -> bytes of each storage that the pickle names.
    """

    def __init__(self, path: Path, stored_bytes: Callable[[str], int]) -> None:
        self._path = path
        self._stored_bytes = stored_bytes
        self._steps = 0
        self._tensor_bytes = 0
        self._max_tensor_bytes = _MAX_REPEATS * path.stat().st_size + _EXTRA_BYTES
        self.storages: dict[str, int] = {}
        # `follow` handles constants, literals and empty containers itself. These are the other instructions that
        # torch's own unpickler knows. Any further instruction is a sign of damage.
        self._actions: Mapping[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "MARK": self._push_mark,
            "GLOBAL": self._push_name,
            "TUPLE": lambda _: self._push_tuple(None),
            "TUPLE1": lambda _: self._push_tuple(1),
            "TUPLE2": lambda _: self._push_tuple(2),
            "TUPLE3": lambda _: self._push_tuple(3),
            "APPEND": lambda _: self._append(many=False),
            "APPENDS": lambda _: self._append(many=True),
            "SETITEM": lambda _: self._set_items(many=False),
            "SETITEMS": lambda _: self._set_items(many=True),
            "BINGET": self._push_memo,
            "LONG_BINGET": self._push_memo,
            "BINPUT": self._store_memo,
            "LONG_BINPUT": self._store_memo,
            "REDUCE": self._replace_call,
            "NEWOBJ": self._replace_call,
            "BUILD": self._set_state,
            "BINPERSID": self._push_storage,
        }

    def follow(self, file: IO[bytes] | mmap) -> None:
        """Follow one pickle from the current position of a file to the pickle's end.

        Raises:
            UnsafeCheckpointError, CheckpointError, ValueError, LookupError, TypeError: As for `pickles.check_zip`.
        """
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        begin = file.tell()
        for operation, argument, _ in pickletools.genops(cast(IO[bytes], file)):
            self._steps += 1
            if self._steps > _MAX_STEPS or file.tell() - begin > MAX_BYTES:
                raise refused_error(self._path, f"it takes more than {_MAX_STEPS:,} steps to read")
            if operation.name == "STOP":
                return
            if operation.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[operation.name])
            elif operation.name in _LITERALS:
                self._stack.append(argument)
            elif operation.name in _EMPTY_CONTAINERS:
                self._stack.append(_Container(_EMPTY_CONTAINERS[operation.name]))
            else:
                action = self._actions.get(operation.name)
                if action is None:
                    raise ValueError(f"the unknown instruction {operation.name}")
                action(argument)

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _push_mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _push_name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        if (module, name) in NAME_MAPPING:  # a name of Python 2
            module, name = NAME_MAPPING[module, name]
        full_name = _Name(f"{IMPORT_MAPPING.get(module, module)}.{name}")
        if not is_allowed(full_name):
            raise unusual_error(self._path, full_name) if is_unusual(full_name) else unsafe_error(self._path, full_name)
        self._stack.append(full_name)

    def _push_tuple(self, count: int | None) -> None:
        items = self._pop_mark() if count is None else [self._stack.pop() for _ in range(count)][::-1]
        self._stack.append(tuple(items))

    def _append(self, *, many: bool) -> None:
        items = self._pop_mark() if many else [self._stack.pop()]
        self._top("list").plain &= all(map(_is_plain, items))

    def _set_items(self, *, many: bool) -> None:
        items = self._pop_mark() if many else [self._stack.pop() for _ in range(2)][::-1]
        self._top("dict")
        if not all(map(_is_plain, items[::2])):
            raise refused_error(self._path, "a dictionary in it has keys that are neither text nor numbers")

    def _top(self, kind: str) -> _Container:
        top = self._stack[-1]
        if not isinstance(top, _Container) or top.kind != kind:
            raise TypeError(f"no {kind} to put an item into")
        return top

    def _push_memo(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _store_memo(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _replace_call(self, _: Any) -> None:
        """Replace the function and the arguments on top of the stack by a stand-in for the result."""
        self._stack[-2:] = [self._result_of(self._stack[-2], self._stack[-1])]

    def _set_state(self, _: Any) -> None:
        state = self._stack.pop()
        self._top("dict")
        if not (isinstance(state, _Container) and state.kind == "dict"):
            raise refused_error(self._path, "an object in it has a state that is no dictionary")

    def _push_storage(self, _: Any) -> None:
        kind, storage_class, key, _device, count, *_view = self._stack.pop()
        item_bytes = _item_bytes(storage_class)
        if kind not in ("storage", b"storage") or item_bytes is None or not _COUNT.holds(count):
            raise refused_error(self._path, f"it has numbers of an unusual kind ({str(storage_class)[:80]})")
        name, size = str(key)[:80], count * item_bytes
        if self.storages.setdefault(name, size) != size or size > self._stored_bytes(name):
            raise refused_error(self._path, f"it says that there are {count:,} numbers under {name}, and there are not")
        self._stack.append(_Storage(count, item_bytes))

    def _result_of(self, function: Any, arguments: Any) -> Any:
        """Check a call, and return a stand-in for its result."""
        if not (isinstance(function, _Name) and isinstance(arguments, tuple)):
            raise TypeError("a call of something that is no function")
        values = cast(tuple[Any, ...], arguments)
        if function.startswith("torch._utils._rebuild_tensor"):
            return self._tensor_of(*values)
        if function.startswith("torch._utils._rebuild_parameter") and values and values[0] is _TENSOR:
            return _TENSOR
        first = values[0] if values else None
        kind = first.kind if isinstance(first, _Container) else ""
        may_be_called = {
            "collections.OrderedDict": not values,
            "collections.Counter": not values or kind == "dict",
            "builtins.set": not values or (kind == "list" and cast(_Container, first).plain),
            "torch.Size": len(values) == 1 and isinstance(first, tuple),
            "_codecs.encode": isinstance(first, str) and values[1:] == ("latin1",),
            "builtins.complex": all(map(_is_plain, values)),
            "torch.device": all(map(_is_plain, values)),
        }
        if not may_be_called.get(function, False):
            raise unusual_error(self._path, function)
        return _Container("dict") if function.startswith("collections.") else _OTHER

    def _tensor_of(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> object:
        """Check that a view of a storage lies inside it and that the file's tensors are not too large together."""
        if not isinstance(storage, _Storage) or not (isinstance(size, tuple) and isinstance(stride, tuple)):
            raise refused_error(self._path, "a tensor in it has no numbers or no shape")
        shape, strides = cast(tuple[Any, ...], size), cast(tuple[Any, ...], stride)
        if len(shape) != len(strides) or len(shape) > 16 or not all(map(_COUNT.holds, (offset, *shape, *strides))):
            raise refused_error(self._path, "a tensor in it has a shape without meaning")
        count = 1
        for length in shape:
            count *= length
        last = offset + sum((length - 1) * step for length, step in zip(shape, strides, strict=True))
        if count and (last >= storage.count or count > storage.count):
            raise refused_error(self._path, f"a tensor of the shape {shape} has {storage.count:,} numbers in the file")
        self._tensor_bytes += count * storage.item_bytes
        if self._tensor_bytes > self._max_tensor_bytes:
            raise refused_error(self._path, "its tensors have many times more numbers than the file")
        return _TENSOR


class _Count(Range):
    """A range of whole numbers for values of any type."""

    def holds(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high


_COUNT = _Count(0, 2**48, whole=True)

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {"BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "LONG1"}
_EMPTY_CONTAINERS = {"EMPTY_LIST": "list", "EMPTY_DICT": "dict", "EMPTY_SET": "set"}


def _is_plain(value: object) -> bool:
    """Whether a value is hashed and written out in little time. Tuples of tuples can take hours."""
    scalars = (str, int, float, bytes, type(None))
    if isinstance(value, tuple):
        return all(isinstance(item, scalars) for item in cast(tuple[object, ...], value))
    return isinstance(value, scalars)


def _item_bytes(storage_class: object) -> int | None:
    """Return the bytes of one number in a storage class. Return None for anything else and for unusual classes."""
    return ITEM_BYTES.get(storage_class.rpartition(".")[2]) if isinstance(storage_class, _Name) else None
