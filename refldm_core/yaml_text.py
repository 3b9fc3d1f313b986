"""Read YAML from untrusted files in bounded time and memory. The values are small enough to be printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from .files import require_regular

LONGEST = 256 * 1024
"""Most bytes of a file. A config has a few thousand."""
_MAX_NODES = 10_000  # scalars and containers; each alias counts all the nodes that it repeats
_MAX_DEPTH = 32  # containers inside each other
_MAX_SCALAR, _MAX_NUMBER = 10_000, 100  # characters


class YamlError(ValueError):
    """The text is not YAML, too large or nested too deep. The message is one line."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain values. See `parse_yaml`.

    Raises:
        OSError: The file cannot be read.
        YamlError: As for `parse_yaml`. Also if the file has more than `LONGEST` bytes or is not UTF-8.
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
    """Parse YAML as plain values: dictionaries, lists, text, numbers, dates, true, false and None.

    Raises:
        YamlError: The text is no YAML or has a tag of another type. Or it has more nodes, deeper nesting or longer
            values than any config needs.
    """
    try:
        return yaml.load(text, _LimitedLoader)
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0][:200]) from error
    except YamlError:
        raise
    except (ValueError, OverflowError, AttributeError, LookupError, TypeError) as error:
        # PyYAML raises these for dates that do not exist, !!int hello, !!bool maybe and !!timestamp never.
        raise YamlError(f"a value does not fit its type ({str(error)[:200]})") from error


class _LimitedLoader(yaml.SafeLoader):
    """PyYAML's safe loader with limits, which are checked while the nodes are composed."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        nodes_before = self._nodes
        is_alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        self._nodes += 1
        self._check_limits()
        node = cast(Any, super().compose_node(parent, index))
        self._depth -= 1
        if is_alias:  # it counts all the nodes that it repeats
            if id(node) not in self._sizes:
                raise YamlError("a value holds itself")
            self._nodes += self._sizes[id(node)]
            self._check_limits()
            return node
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node.tag, cast(str, node.value))
        self._sizes[id(node)] = self._nodes - nodes_before
        return node

    def _check_limits(self) -> None:
        if self._depth > _MAX_DEPTH:
            raise YamlError(f"it is nested more than {_MAX_DEPTH} deep")
        if self._nodes > _MAX_NODES:
            raise YamlError(f"it has more than {_MAX_NODES:,} values")


def _check_scalar(tag: str, text: str) -> None:
    is_number = tag.endswith((":int", ":float"))
    longest = _MAX_NUMBER if is_number else _MAX_SCALAR
    if len(text) > longest:
        raise YamlError(f"a {'number' if is_number else 'value'} has more than {longest:,} characters")
