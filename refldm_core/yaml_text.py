"""YAML from strangers: read in bounded time and memory, and small enough to be printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from .files import require_regular

LONGEST = 256 * 1024
"""Bytes of a file; a config has a few thousand."""
_MOST_NODES = 10_000  # scalars and containers, those that aliases repeat counted again
_DEEPEST = 32  # containers inside each other
_LONGEST_SCALAR, _LONGEST_NUMBER = 10_000, 100  # characters


class YamlError(ValueError):
    """Text that is not YAML, or that is too large or too deep; the message is one line."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain values; see `parse_yaml`.

    Raises:
        OSError: it cannot be read.
        YamlError: as `parse_yaml`; also a file of more than `LONGEST` bytes, or of another encoding than UTF-8.
    """
    with require_regular(path).open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise YamlError(f"it has more than {LONGEST:,} bytes")
    try:
        return parse_yaml(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise YamlError("it is not UTF-8 text") from error


def parse_yaml(text: str) -> Any:
    """YAML -> plain values: dictionaries, lists, text, numbers, dates, true, false and None.

    Raises:
        YamlError: no YAML, a tag of another type, or more nodes, deeper nesting or longer values than any config has.
    """
    try:
        return yaml.load(text, _Loader)  # a safe loader, with limits
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0][:200]) from error
    except YamlError:
        raise
    except (ValueError, OverflowError, AttributeError, LookupError, TypeError) as error:
        # PyYAML's constructors: dates that do not exist, !!int hello, !!bool maybe, !!timestamp never.
        raise YamlError(f"a value does not fit its type ({str(error)[:200]})") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with limits, checked while the nodes are composed."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        before = self._nodes
        alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        self._nodes += 1
        self._check()
        node = cast(Any, super().compose_node(parent, index))
        self._depth -= 1
        if alias:  # counts as all that it repeats
            if id(node) not in self._sizes:
                raise YamlError("a value holds itself")
            self._nodes += self._sizes[id(node)]
            self._check()
            return node
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node.tag, cast(str, node.value))
        self._sizes[id(node)] = self._nodes - before
        return node

    def _check(self) -> None:
        if self._depth > _DEEPEST:
            raise YamlError(f"it is nested more than {_DEEPEST} deep")
        if self._nodes > _MOST_NODES:
            raise YamlError(f"it has more than {_MOST_NODES:,} values")


def _check_scalar(tag: str, text: str) -> None:
    longest = _LONGEST_NUMBER if tag.endswith((":int", ":float")) else _LONGEST_SCALAR
    if len(text) > longest:
        raise YamlError(f"a {'number' if longest == _LONGEST_NUMBER else 'value'} has more than {longest:,} characters")
