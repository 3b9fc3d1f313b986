"""The instructions of a pickle, followed without making any of its objects."""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

from ..ranges import Range
from .pickle_errors import refused_error, unsafe_error, unusual_error
from .pickle_names import ALLOWED_NAMES, ITEM_BYTES, is_type, is_unusual

MOST_BYTES = 32 << 20  # of the instructions; the tensors' numbers lie outside them
_MOST_STEPS = 1_000_000  # instructions; the official file has some 60,000
_SHARED = 4  # how often tensors may repeat a file's numbers: the official file has the first stage three times
_SLACK = 64 << 20  # bytes


class _Name(str):
    """Something that the pickle names: a module, a dot and a name in it."""


class _Container:
    """A list, dictionary or set; `plain` where all its items can be hashed at once."""

    __slots__ = ("kind", "plain")

    def __init__(self, kind: str, *, plain: bool = True) -> None:
        self.kind = kind
        self.plain = plain


class _Numbers:
    """The numbers of one or more tensors."""

    def __init__(self, count: int, item_bytes: int) -> None:
        self.count = count
        self.item_bytes = item_bytes


_TENSOR, _OTHER = object(), object()


class DryRun:
    """Follows the instructions of a pickle with stand-ins for the objects.

    Args:
        path: of the file, for messages.
        stored: bytes of the numbers that the file has under a key.
    """

    def __init__(self, path: Path, stored: Callable[[str], int]) -> None:
        self._path = path
        self._stored = stored
        self._steps = 0
        self._bytes = 0
        self._most_bytes = _SHARED * path.stat().st_size + _SLACK
        self.storages: dict[str, int] = {}
        """Bytes of the numbers that were named, by key."""
        # The other instructions that torch's own unpickler knows. Those that it does not know are a sign of damage.
        self._steps_by_name: Mapping[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "MARK": self._mark,
            "GLOBAL": self._name,
            "TUPLE": lambda _: self._tuple(None),
            "TUPLE1": lambda _: self._tuple(1),
            "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3),
            "APPEND": lambda _: self._append(many=False),
            "APPENDS": lambda _: self._append(many=True),
            "SETITEM": lambda _: self._set(many=False),
            "SETITEMS": lambda _: self._set(many=True),
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "REDUCE": self._new,
            "NEWOBJ": self._new,
            "BUILD": self._build,
            "BINPERSID": self._storage,
        }

    def follow(self, file: IO[bytes]) -> None:
        """Follow one pickle, up to its end."""
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        begin = file.tell()
        for operation, argument, _ in pickletools.genops(file):
            self._steps += 1
            if self._steps > _MOST_STEPS or file.tell() - begin > MOST_BYTES:
                raise refused_error(self._path, f"it takes more than {_MOST_STEPS:,} steps to read")
            if operation.name == "STOP":
                return
            if operation.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[operation.name])
            elif operation.name in _LITERALS:
                self._stack.append(argument)
            elif operation.name in _MADE:
                self._stack.append(_Container(_MADE[operation.name]))
            else:
                step = self._steps_by_name.get(operation.name)
                if step is None:
                    raise ValueError(f"the instruction {operation.name}")
                step(argument)

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        if (module, name) in NAME_MAPPING:
            module, name = NAME_MAPPING[module, name]
        full = _Name(f"{IMPORT_MAPPING.get(module, module)}.{name}")
        if full not in ALLOWED_NAMES and not is_type(full):
            raise unusual_error(self._path, full) if is_unusual(full) else unsafe_error(self._path, full)
        self._stack.append(full)

    def _tuple(self, count: int | None) -> None:
        items = self._pop_mark() if count is None else [self._stack.pop() for _ in range(count)][::-1]
        self._stack.append(tuple(items))

    def _append(self, *, many: bool) -> None:
        items = self._pop_mark() if many else [self._stack.pop()]
        self._top("list").plain &= all(map(_is_plain, items))

    def _set(self, *, many: bool) -> None:
        items = self._pop_mark() if many else [self._stack.pop() for _ in range(2)][::-1]
        self._top("dict")
        if not all(map(_is_plain, items[::2])):
            raise refused_error(self._path, "a dictionary in it has keys that are neither text nor numbers")

    def _top(self, kind: str) -> _Container:
        top = self._stack[-1]
        if not isinstance(top, _Container) or top.kind != kind:
            raise TypeError(f"no {kind} to put something into")
        return top

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _new(self, _: Any) -> None:
        self._stack[-2:] = [self._call(self._stack[-2], self._stack[-1])]

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        self._top("dict")
        if not (isinstance(state, _Container) and state.kind == "dict"):
            raise refused_error(self._path, "an object in it has a state that is no dictionary")

    def _storage(self, _: Any) -> None:
        kind, numbers, key, _place, count, *_view = self._stack.pop()
        item_bytes = _item_bytes(numbers)
        if kind not in ("storage", b"storage") or item_bytes is None or not _COUNT.holds(count):
            raise refused_error(self._path, f"it has numbers of an unusual kind ({str(numbers)[:80]})")
        name, size = str(key)[:80], count * item_bytes
        if self.storages.setdefault(name, size) != size or size > self._stored(name):
            raise refused_error(self._path, f"it says that there are {count:,} numbers under {name}, and there are not")
        self._stack.append(_Numbers(count, item_bytes))

    def _call(self, function: Any, arguments: Any) -> Any:
        if not (isinstance(function, _Name) and isinstance(arguments, tuple)):
            raise TypeError("a call of what is no function")
        values = cast(tuple[Any, ...], arguments)
        if function.startswith("torch._utils._rebuild_tensor"):
            return self._tensor(*values)
        if function.startswith("torch._utils._rebuild_parameter") and values and values[0] is _TENSOR:
            return _TENSOR
        first = values[0] if values else None
        kind = first.kind if isinstance(first, _Container) else ""
        fits = {
            "collections.OrderedDict": not values,
            "collections.Counter": not values or kind == "dict",
            "builtins.set": not values or (kind == "list" and cast(_Container, first).plain),
            "torch.Size": len(values) == 1 and isinstance(first, tuple),
            "_codecs.encode": isinstance(first, str) and values[1:] == ("latin1",),
            "builtins.complex": all(map(_is_plain, values)),
            "torch.device": all(map(_is_plain, values)),
        }
        if not fits.get(function, False):
            raise unusual_error(self._path, function)
        return _Container("dict") if function.startswith("collections.") else _OTHER

    def _tensor(self, numbers: Any, offset: Any, size: Any, stride: Any, *_: Any) -> object:
        if not isinstance(numbers, _Numbers) or not (isinstance(size, tuple) and isinstance(stride, tuple)):
            raise refused_error(self._path, "a tensor in it has no numbers or no shape")
        shape, steps = cast(tuple[Any, ...], size), cast(tuple[Any, ...], stride)
        if len(shape) != len(steps) or len(shape) > 16 or not all(map(_COUNT.holds, (offset, *shape, *steps))):
            raise refused_error(self._path, "a tensor in it has a shape without meaning")
        count = 1
        for length in shape:
            count *= length
        last = offset + sum((length - 1) * step for length, step in zip(shape, steps, strict=True))
        if count and (last >= numbers.count or count > numbers.count):
            raise refused_error(self._path, f"a tensor of the shape {shape} has {numbers.count:,} numbers in the file")
        self._bytes += count * numbers.item_bytes
        if self._bytes > self._most_bytes:
            raise refused_error(self._path, "its tensors have many times more numbers than the file")
        return _TENSOR


class _Count(Range):
    def holds(self, value: object) -> bool:
        return type(value) is int and self.low <= value <= self.high


_COUNT = _Count(0, 2**48, whole=True)

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = {"BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "LONG1"}
_MADE = {"EMPTY_LIST": "list", "EMPTY_DICT": "dict", "EMPTY_SET": "set"}


def _is_plain(value: object) -> bool:
    """Whether it is hashed and written out at once; tuples of tuples can take hours."""
    leaf = (str, int, float, bytes, type(None))
    if isinstance(value, tuple):
        return all(isinstance(item, leaf) for item in cast(tuple[object, ...], value))
    return isinstance(value, leaf)


def _item_bytes(name: object) -> int | None:
    """Bytes of a number of a storage class; None for an unusual one."""
    return ITEM_BYTES.get(name.rpartition(".")[2]) if isinstance(name, _Name) else None
